"""What the container may use, from its control groups (version 2 or 1). The node's own numbers are wrong inside a pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
PROCESS = Path("/proc/self/cgroup")


def cpu_quota(root: Path = ROOT, membership: Path = PROCESS) -> float | None:
    """The smallest CPU quota on the way from the process's cgroup to the root, in CPUs; None without one.

    Version 2 has `cpu.max` ("50000 100000", or "max 100000"), version 1 `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
    """
    return _smallest(_cpus, "cpu", root, membership)


def memory_limit(root: Path = ROOT, membership: Path = PROCESS) -> int | None:
    """The smallest memory limit on that way, in bytes; None without one.

    Version 2 has `memory.max`, version 1 `memory.limit_in_bytes`, where an absurdly high number means none.
    """
    found = _smallest(_bytes, "memory", root, membership)
    return None if found is None else int(found)


def _smallest(read: Callable[[Path], float | None], controller: str, root: Path, membership: Path) -> float | None:
    values = (read(directory) for directory in _directories(controller, root, membership))
    return min((value for value in values if value is not None), default=None)


def _directories(controller: str, root: Path, membership: Path) -> Iterator[Path]:
    """Every cgroup directory that may limit the process. Those that a container does not see do not exist."""
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controller if controllers else root
        inside = PurePosixPath(path.lstrip("/"))
        yield from (base / part for part in (inside, *inside.parents))
    yield from (root, root / controller)


def _cpus(directory: Path) -> float | None:
    modern = _words(directory / "cpu.max")
    if len(modern) == 2:
        return int(modern[0]) / int(modern[1]) if modern[0].isdigit() else None
    quota, period = _words(directory / "cpu.cfs_quota_us"), _words(directory / "cpu.cfs_period_us")
    return int(quota[0]) / int(period[0]) if quota and period and quota[0].isdigit() else None


def _bytes(directory: Path) -> float | None:
    found = _words(directory / "memory.max") or _words(directory / "memory.limit_in_bytes")
    return int(found[0]) if found and found[0].isdigit() else None


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.is_file() else []
