"""How much of the container DuckDB gets."""

from __future__ import annotations

import os

import pytest

from mainspring_runtime import cgroups
from mainspring_runtime.data import durations
from mainspring_runtime.data.limits import MIB, Limits, current

MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("quota", "memory", "limits"),
    [
        (0.7, 512 * MIB, Limits(1, 512 * MIB)),
        (1.5, None, Limits(2, MACHINE_BYTES)),
        # Version 1 says so when there is no limit.
        (None, 9223372036854771712, Limits(3, MACHINE_BYTES)),
        (None, None, Limits(3, MACHINE_BYTES)),
    ],
)
def test_limits_are_the_containers_or_else_the_machines(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, memory: int | None, limits: Limits
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    monkeypatch.setattr(cgroups, "memory_limit", lambda: memory)
    assert current() == limits


@pytest.mark.parametrize(
    ("memory", "database", "threads"), [(256, 96, 1), (512, 128, 1), (640, 256, 2), (1024, 640, 4), (8192, 6144, 4)]
)
def test_the_database_gets_what_the_rest_leaves(memory: int, database: int, threads: int) -> None:
    limits = Limits(4, memory * MIB)
    assert (limits.database_bytes, limits.threads) == (database * MIB, threads)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("90d", 7776000), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert durations.parse(text).total_seconds() == seconds
