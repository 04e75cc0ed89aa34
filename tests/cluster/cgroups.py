"""The cgroup that all pods live below, in version 1 (one hierarchy a controller) and version 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.cluster import process, wait

MOUNT = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 10.0
# The kubelet refuses a cgroup that lacks one of these.
CONTROLLERS = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "pids",
    "hugetlb",
    "systemd",
    "blkio",
    "devices",
    "freezer",
    "unified",
)


def ensure(name: str) -> None:
    """Make the cgroup in every hierarchy that the machine has."""
    for root in _hierarchies():
        group = root / name.lstrip("/")
        group.mkdir(exist_ok=True)
        _inherit_cpuset(group)


def processes(name: str) -> list[process.Process]:
    """Every process in the cgroup, or in one below it."""
    pids = {int(pid) for group in _groups(name) for pid in _read(group / "cgroup.procs").split()}
    found = (process.identify(pid) for pid in pids)
    return [one for one in found if one is not None]


def remove(name: str) -> None:
    """Remove the cgroup and all below it; they have to be empty."""
    for group in _groups(name):
        # The kernel needs a moment after the last process has gone.
        wait.until(partial(_removed, group), REMOVE_SECONDS)


def _removed(group: Path) -> str | None:
    try:
        group.rmdir()
    except OSError as error:
        return str(error)
    return None


def _hierarchies() -> list[Path]:
    if (MOUNT / "cgroup.controllers").exists():
        return [MOUNT]
    return [MOUNT / controller for controller in CONTROLLERS if (MOUNT / controller / "cgroup.procs").exists()]


def _groups(name: str) -> Iterator[Path]:
    """Deepest first."""
    for root in _hierarchies():
        for directory, _, _ in os.walk(root / name.lstrip("/"), topdown=False):
            yield Path(directory)


def _inherit_cpuset(group: Path) -> None:
    # A new version 1 cpuset is empty and takes no process.
    for file in ("cpuset.cpus", "cpuset.mems"):
        own = group / file
        if own.exists() and not _read(own).strip() and not (MOUNT / "cgroup.controllers").exists():
            own.write_text(_read(group.parent / file))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
