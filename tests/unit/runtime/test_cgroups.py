"""CPU and memory of the container, not of the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring_runtime import cgroups


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def membership(root: Path, text: str) -> Path:
    path = root / "membership"
    path.write_text(text + "\n")
    return path


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({}, None),
        ({"cpu.max": "400000 100000", "kubepods/cpu.max": "200000 100000", "kubepods/pod1/cpu.max": "max 100000"}, 2.0),
        ({"cpu.max": "max 100000", "kubepods/pod1/cpu.max": "50000 100000"}, 0.5),
    ],
)
def test_the_smallest_quota_of_version_2_counts(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert cgroups.cpu_quota(tree(tmp_path, files), membership(tmp_path, "0::/kubepods/pod1")) == quota


@pytest.mark.parametrize(
    ("microseconds", "quota"),
    [("300000", 3.0), ("-1", None)],
)
def test_version_1_has_a_directory_per_controller(tmp_path: Path, microseconds: str, quota: float | None) -> None:
    files = {"cpu/docker/abc/cpu.cfs_quota_us": microseconds, "cpu/docker/abc/cpu.cfs_period_us": "100000"}
    lines = "12:memory:/elsewhere\n4:cpu,cpuacct:/docker/abc"
    assert cgroups.cpu_quota(tree(tmp_path, files), membership(tmp_path, lines)) == quota


def test_a_container_sees_its_own_limit_at_the_root(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}
    assert (
        cgroups.cpu_quota(tree(tmp_path, files), membership(tmp_path, "4:cpu,cpuacct:/docker/not-visible-here")) == 1.0
    )


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "536870912"}, 536870912),
        ({"memory.max": "max"}, None),
        ({"memory.max": "max", "pods/one/memory.max": "2048", "pods/memory.max": "1024"}, 1024),
        ({"memory/memory.limit_in_bytes": "1048576"}, 1048576),
        ({}, None),
    ],
)
def test_the_smallest_memory_limit_counts(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    assert cgroups.memory_limit(tree(tmp_path, files), membership(tmp_path, "0::/pods/one")) == limit
