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
PACKAGES = ("ca-certificates", "python3", "python3-venv")
# What a running program never reads. The licences stay.
EXCLUDED = ("doc", "info", "locale", "man", "lintian", "groff", "linda", "bug")
KEPT = ("doc/*/copyright", "locale/locale.alias")
LIMIT_SECONDS = 20 * command.MINUTE_SECONDS
CONTAINERFILE = """\
FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python3"]
"""


def key() -> str:
    """The hash of what the image is made from; Debian's updates within the suite do not count."""
    return hashing.key(SUITE, CONTAINERFILE, *PACKAGES, *EXCLUDED, *KEPT)


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
    clean = '--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists "$1"/usr/lib/python3*/test'
    argv = [
        "nice",
        "-n",
        "10",
        "mmdebstrap",
        "--variant=essential",
        f"--include={','.join(PACKAGES)}",
        *options,
        clean,
        SUITE,
        str(tar),
    ]
    command.run(argv, timeout=LIMIT_SECONDS)
