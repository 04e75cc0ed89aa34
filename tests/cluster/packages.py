"""The Debian packages that the node, the image builds and some tests need: installed where we may, named where we may not."""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Iterable
from pathlib import Path

from tests.cluster import command
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say

INSTALL_LIMIT_SECONDS = 15 * command.MINUTE_SECONDS

# Package -> the program, file or library that shows that it is there.
CERTIFICATES = {"openssl": "openssl"}
NODE = {
    **CERTIFICATES,
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "iproute2": "ip",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
}
PROMETHEUS = {"prometheus": "prometheus"}  # with promtool
BROWSER = {"chromium": "chromium"}
LOAD = {"wrk": "wrk"}
OPENMP = {"libgomp1": "libgomp.so"}  # lightgbm is linked against it, and brings none
IMAGES = {"buildah": "buildah", "skopeo": "skopeo", "mmdebstrap": "mmdebstrap"}


def ensure(wanted: dict[str, str]) -> None:
    """Have these packages, or raise an error that says how to get them."""
    missing = _missing(wanted)
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or command.find("apt-get") is None:
        raise ClusterError(
            f"missing: {', '.join(missing)}; install them as root: apt-get update && {' '.join(install)}"
        )
    say(f"installing Debian packages: {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    command.run(["apt-get", "update"], env=quiet, timeout=INSTALL_LIMIT_SECONDS)
    command.run(install, env=quiet, timeout=INSTALL_LIMIT_SECONDS)
    still = _missing(wanted)
    if still:
        raise ClusterError(f"installed, but still not found: {', '.join(still)}")


def _missing(wanted: dict[str, str]) -> list[str]:
    return [package for package, witness in wanted.items() if not _present(witness)]


def _present(witness: str) -> bool:
    if witness.endswith(".so"):
        return ctypes.util.find_library(witness.removeprefix("lib").removesuffix(".so")) is not None
    return Path(witness).exists() if witness.startswith("/") else command.find(witness) is not None


def root_needed(what: str, wanted: Iterable[str]) -> None:
    """Raise an error unless we are root."""
    if os.geteuid() != 0:
        raise ClusterError(f"{what} needs root ({', '.join(wanted)}); run it as root, or install Docker and kind")
