from __future__ import annotations

import os
from pathlib import Path

import pytest

from mainspring_runtime.serve import cpu


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
    assert cpu.cpu_quota(tree(tmp_path, files), membership(tmp_path, "0::/kubepods/pod1")) == quota


@pytest.mark.parametrize(
    ("microseconds", "quota"),
    [("300000", 3.0), ("-1", None)],
)
def test_version_1_has_a_directory_per_controller(tmp_path: Path, microseconds: str, quota: float | None) -> None:
    files = {"cpu/docker/abc/cpu.cfs_quota_us": microseconds, "cpu/docker/abc/cpu.cfs_period_us": "100000"}
    lines = "12:memory:/elsewhere\n4:cpu,cpuacct:/docker/abc"
    assert cpu.cpu_quota(tree(tmp_path, files), membership(tmp_path, lines)) == quota


def test_a_container_sees_its_own_limit_at_the_root(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}
    assert cpu.cpu_quota(tree(tmp_path, files), membership(tmp_path, "4:cpu,cpuacct:/docker/not-visible-here")) == 1.0


@pytest.mark.parametrize(("cpus", "threads"), [(1, 1), (3, 3), (64, 4)])
def test_without_a_quota_a_few_of_the_node_s_cpus_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)))
    assert cpu.thread_count(tmp_path, tmp_path / "absent") == threads


@pytest.mark.parametrize(
    ("limit", "threads"), [("50000 100000", 1), ("190000 100000", 1), ("300000 100000", 3), ("9900000 100000", 8)]
)
def test_threads_are_whole_cpus_of_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert cpu.thread_count(tree(tmp_path, {"cpu.max": limit}), membership(tmp_path, "0::/")) == threads


def test_the_libraries_are_told_unless_the_user_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "")
    cpu.limit_threads(3)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("7", "3")
