"""Building images without a Docker engine: buildah and skopeo, with an image store of our own.

Nothing of the machine's own set-up gets into an image: how pip reaches its index, and
which certificates it trusts, is mounted for the time of the build.
"""

from __future__ import annotations

import configparser
import functools
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import command, mounts, paths
from tests.cluster.errors import CommandFailed

RUN_ROOT = "/run/mainspring/buildah"
LIMIT_SECONDS = 45 * command.MINUTE_SECONDS
CERTIFICATES = Path("/etc/ssl/certs")
# Where pip looks, in the order in which later ones win.
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")


def has(name: str) -> bool:
    """Whether our store has the image."""
    try:
        command.run(_buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", name))
    except CommandFailed:
        return False
    return True


def build(name: str, dockerfile: Path, context: Path, *, target: str = "", base: str = "") -> None:
    """Build one image, reusing the layers of earlier builds."""
    options = ["--layers", "--pull-never", "--isolation", "chroot", "--file", str(dockerfile), "--tag", name]
    if target:
        options += ["--target", target]
    if base:
        options += ["--build-arg", f"BASE_IMAGE={base}"]
    with _machine_mounts() as volumes:
        command.run(["nice", "-n", "10", *_buildah("build", *options, *volumes, str(context))], timeout=LIMIT_SECONDS)


def push(name: str, layout: Path) -> None:
    """Copy an image into a directory in OCI layout, where its tag names it; blobs that are there stay."""
    layout.mkdir(parents=True, exist_ok=True)
    source = f"containers-storage:[{_storage_driver()}@{_store()}+{RUN_ROOT}]{name}"
    # Uncompressed layers keep their digest, so those that are there are not even read.
    copy = ["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers"]
    command.run([*copy, source, f"oci:{layout}:{name}"], timeout=LIMIT_SECONDS)


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's settings on this machine, from its files and its variables, as one section of a pip.conf."""
    parser = configparser.RawConfigParser()
    files = [Path(name).expanduser() for name in (*PIP_FILES, environment.get("PIP_CONFIG_FILE", ""))]
    parser.read([file for file in files if file.is_file()])
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    for name, value in environment.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    # A directory of this machine, which the build does not see.
    if settings.get("find-links", "").startswith("/"):
        del settings["find-links"]
    return settings


def pip_conf(settings: Mapping[str, str]) -> str:
    """The text of a pip.conf."""
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(settings.items()))


@contextmanager
def _machine_mounts() -> Iterator[list[str]]:
    """Options that mount the machine's certificates and pip settings into a build, read-only."""
    settings = pip_settings(os.environ)
    with tempfile.TemporaryDirectory() as directory:
        conf = Path(directory, "pip.conf")
        conf.write_text(pip_conf(settings))
        mounted = {str(conf): "/etc/pip.conf", **{path: path for path in _paths_of_machine(settings)}}
        yield [option for source, target in mounted.items() for option in ("--volume", f"{source}:{target}:ro")]


def _paths_of_machine(settings: Mapping[str, str]) -> list[str]:
    bundle = Path(settings.get("cert", CERTIFICATES))
    return [str(CERTIFICATES)] if bundle.is_relative_to(CERTIFICATES) else [str(CERTIFICATES), str(bundle)]


@functools.cache
def _storage_driver() -> str:
    return "overlay" if mounts.overlay_works(paths.cache() / "buildah") else "vfs"


def _buildah(subcommand: str, *arguments: str) -> list[str]:
    options = ["--root", str(_store()), "--runroot", RUN_ROOT, "--storage-driver", _storage_driver()]
    return ["buildah", *options, subcommand, *arguments]


def _store() -> Path:
    return paths.cache() / "buildah" / "storage"
