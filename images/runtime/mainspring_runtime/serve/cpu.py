"""How many threads may compute: what the container's CPU limit allows, not what the node has.

With the node's count under a limit of one CPU, the threads of one prediction wait for each other across throttling
periods, and latency collapses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROCESS_CGROUP = Path("/proc/self/cgroup")
# Without a limit: predicting one row on all CPUs of a large node is slower than on one, and disturbs the neighbours.
UNLIMITED_THREADS = 4
# Read once, when NumPy, SciPy and scikit-learn load their libraries.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def thread_count(root: Path = CGROUP_ROOT, membership: Path = PROCESS_CGROUP) -> int:
    """Whole CPUs of the quota, at least 1; a few without a quota; never more than the process may run on."""
    quota = cpu_quota(root, membership)
    allowed = UNLIMITED_THREADS if quota is None else int(quota)
    return max(1, min(allowed, len(os.sched_getaffinity(0))))


def cpu_quota(root: Path = CGROUP_ROOT, membership: Path = PROCESS_CGROUP) -> float | None:
    """The smallest CPU quota on the way from the process's cgroup to the root, in CPUs; None without one.

    Version 2 has `cpu.max` ("50000 100000", or "max 100000"), version 1 `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
    """
    quotas = [quota for directory in _directories(root, membership) if (quota := _quota(directory)) is not None]
    return min(quotas, default=None)


def limit_threads(count: int) -> None:
    """Tell the numeric libraries, which must not be imported yet. A variable that is already set stays."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(count))


def _directories(root: Path, membership: Path) -> Iterator[Path]:
    """Every cgroup directory that may limit the process. Those that a container does not see do not exist."""
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        inside = PurePosixPath(path.lstrip("/"))
        yield from (base / part for part in (inside, *inside.parents))
    yield from (root, root / "cpu")


def _quota(directory: Path) -> float | None:
    modern = _read(directory / "cpu.max").split()
    if len(modern) == 2:
        return None if modern[0] == "max" else int(modern[0]) / int(modern[1])
    quota, period = _read(directory / "cpu.cfs_quota_us"), _read(directory / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _read(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""
