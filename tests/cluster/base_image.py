"""The base image for machines that can pull none: a slim Debian with Python, made from Debian packages.

It stands in for the official slim Python image that the Dockerfiles name by default,
and is given to them as the build argument BASE_IMAGE.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.cluster import buildah, command, hashing, paths
from tests.cluster.progress import say

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "libstdc++6", "python3", "python3-venv", "usr-is-merged")
# What a running program never reads. The licences stay.
EXCLUDED = ("doc", "info", "locale", "man", "lintian", "groff", "linda", "bug")
KEPT = ("doc/*/copyright", "locale/locale.alias")
# The package usrmerge brings all of Perl; usr-is-merged does as well where the hook has merged /usr already.
MERGED_USR_HOOK = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"
NO_USRMERGE = "Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n"
PREFERENCE = '"$1"/etc/apt/preferences.d/no-usrmerge'
LIMIT_SECONDS = 20 * command.MINUTE_SECONDS
CONTAINERFILE = """\
FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python3"]
"""


def key() -> str:
    """The hash of what the image is made from; Debian's updates within the suite do not count."""
    return hashing.key(SUITE, CONTAINERFILE, NO_USRMERGE, *PACKAGES, *EXCLUDED, *KEPT)


def name() -> str:
    """The name of the image in our own image store."""
    return f"localhost/mainspring/base:{key()}"


def ensure() -> str:
    """Have the image, and return its name."""
    if not buildah.has(name()):
        say(f"building the base image from Debian {SUITE} packages (about 2 minutes the first time)")
        with tempfile.TemporaryDirectory(dir=paths.cache()) as directory:
            _bootstrap(Path(directory, "rootfs.tar"))
            containerfile = Path(directory, "Containerfile")
            containerfile.write_text(CONTAINERFILE)
            buildah.build(name(), containerfile, Path(directory))
        say("built the base image")
    return name()


def _bootstrap(tar: Path) -> None:
    options = [f"--dpkgopt=path-exclude=/usr/share/{directory}/*" for directory in EXCLUDED]
    options += [f"--dpkgopt=path-include=/usr/share/{pattern}" for pattern in KEPT]
    hooks = [
        f"--hook-dir={MERGED_USR_HOOK}",
        f"--setup-hook=mkdir -p \"$1\"/etc/apt/preferences.d; printf '{NO_USRMERGE}' > {PREFERENCE}",
        f'--customize-hook=rm -rf {PREFERENCE} "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists',
    ]
    include = f"--include={','.join(PACKAGES)}"
    argv = ["nice", "-n", "10", "mmdebstrap", "--variant=essential", include, *options, *hooks, SUITE, str(tar)]
    command.run(argv, timeout=LIMIT_SECONDS)
