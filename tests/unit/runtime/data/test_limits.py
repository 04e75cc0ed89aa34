"""CPU and memory of the container, not of the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring_runtime.data import durations
from mainspring_runtime.data.limits import MIB, Limits, current


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({"cpu.max": "50000 100000\n", "memory.max": "536870912\n"}, 1, 536870912),
        ({"cpu.max": "100000 100000\n", "memory.max": "max\n"}, 1, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "70000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "memory/memory.limit_in_bytes": "1048576\n",
            },
            1,
            1048576,
        ),
        ({"cpu.max": "max 100000\n"}, None, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
            None,
        ),
        ({}, None, None),
    ],
)
def test_limits_come_from_the_control_group(
    tmp_path: Path, files: dict[str, str], cpus: int | None, memory: int | None
) -> None:
    machine = current(tmp_path / "absent")
    found = current(write(tmp_path, files))
    assert found == Limits(cpus or machine.cpus, memory or machine.memory_bytes)


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
