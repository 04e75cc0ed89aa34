"""Threads of the server, from the container's CPU quota."""

from __future__ import annotations

import os

import pytest

from mainspring_runtime import cgroups
from mainspring_runtime.serve import cpu


@pytest.mark.parametrize(("cpus", "threads"), [(1, 1), (3, 3), (64, 4)])
def test_without_a_quota_a_few_of_the_node_s_cpus_compute(
    monkeypatch: pytest.MonkeyPatch, cpus: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)))
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: None)
    assert cpu.thread_count() == threads


@pytest.mark.parametrize(("quota", "threads"), [(0.5, 1), (1.9, 1), (3.0, 3), (99.0, 8)])
def test_threads_are_whole_cpus_of_the_quota(monkeypatch: pytest.MonkeyPatch, quota: float, threads: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    assert cpu.thread_count() == threads


def test_the_libraries_are_told_unless_the_user_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "")
    cpu.limit_threads(3)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("7", "3")
