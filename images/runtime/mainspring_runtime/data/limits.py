"""How much DuckDB may take of what the container may use."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from mainspring_runtime import cgroups

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


def current() -> Limits:
    """The limits of this container; without any, those of the machine."""
    available = len(os.sched_getaffinity(0))
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    quota, memory = cgroups.cpu_quota(), cgroups.memory_limit()
    return Limits(
        cpus=min(available, max(1, math.ceil(quota))) if quota else available,
        memory_bytes=min(physical, memory) if memory else physical,
    )
