"""What the container may use. The node's numbers are wrong inside a pod, so they come from the control group."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
MIB = 1024 * 1024
# What the interpreter, the libraries, row groups and one column take beside DuckDB's own buffers (measured: 170 to 250 MiB).
RESERVED_BYTES = 384 * MIB
DATABASE_MINIMUM_BYTES = 96 * MIB
DATABASE_SHARE = 0.75
# Each thread has its own buffers; with less, DuckDB runs out of memory where it could have spilled.
BYTES_PER_THREAD = 128 * MIB


@dataclass(frozen=True)
class Limits:
    """Whole CPUs (at least one) and memory in bytes."""

    cpus: int
    memory_bytes: int

    @property
    def database_bytes(self) -> int:
        """Memory for DuckDB's buffers, in bytes."""
        return max(
            DATABASE_MINIMUM_BYTES, int(min(self.memory_bytes - RESERVED_BYTES, self.memory_bytes * DATABASE_SHARE))
        )

    @property
    def threads(self) -> int:
        """Threads for DuckDB."""
        return max(1, min(self.cpus, self.database_bytes // BYTES_PER_THREAD))


def current(root: Path = CGROUP_ROOT) -> Limits:
    """The limits of this container (control groups v2 or v1); without any, those of the machine."""
    available = len(os.sched_getaffinity(0))
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = _cpus(root)
    memory = _first_number(root / "memory.max", root / "memory/memory.limit_in_bytes")
    return Limits(
        cpus=min(available, max(1, math.ceil(cpus))) if cpus else available,
        memory_bytes=min(physical, memory) if memory else physical,
    )


def _cpus(root: Path) -> float | None:
    unified = _words(root / "cpu.max")
    if len(unified) == 2:
        return _ratio(unified[0], unified[1])
    quota, period = _words(root / "cpu/cpu.cfs_quota_us"), _words(root / "cpu/cpu.cfs_period_us")
    return _ratio(quota[0], period[0]) if quota and period else None


def _ratio(quota: str, period: str) -> float | None:
    return int(quota) / int(period) if quota.isdigit() else None


def _first_number(*paths: Path) -> int | None:
    for path in paths:
        words = _words(path)
        if words and words[0].isdigit():
            return int(words[0])
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
