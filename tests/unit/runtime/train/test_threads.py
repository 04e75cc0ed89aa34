from __future__ import annotations

import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from mainspring.api.v1alpha1.common import Resources
from mainspring_runtime import cgroups, threads
from mainspring_runtime.serve import cpu

CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("quantity", "cpus"), [("1500m", 1.5), ("2", 2), (3, 3), ("0.5", 0.5)])
def test_cpu_quantities_are_read_as_kubernetes_reads_them(quantity: str | int, cpus: float) -> None:
    assert float(threads.cpus(quantity)) == cpus


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        (None, threads.UNLIMITED_THREADS),
        (Resources(requests={"memory": "1Gi"}), threads.UNLIMITED_THREADS),
        (Resources(requests={"cpu": "500m"}), 1),
        (Resources(requests={"cpu": "1"}, limits={"cpu": "1500m"}), 2),
        (Resources(requests={"cpu": 64}), 64),
    ],
)
def test_without_a_limit_of_the_container_the_run_decides(
    monkeypatch: pytest.MonkeyPatch, resources: Resources | None, wanted: int
) -> None:
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: None)
    assert threads.available(resources) == min(wanted, CPUS)


def test_the_limit_of_the_container_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: 1.0)
    monkeypatch.setattr(cpu, "thread_count", lambda: 1)
    assert threads.available(Resources(requests={"cpu": "64"})) == 1


def test_libraries_are_held_to_the_number() -> None:
    with threads.limited(1):
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}


@pytest.mark.parametrize("module", ["train.command", "evaluate.command", "model.predictor"])
def test_waiting_threads_sleep_whichever_module_comes_first(module: str) -> None:
    """The variable counts only if it is set before scikit-learn loads its OpenMP library."""
    code = f"""
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "sklearn":
            assert os.environ.get("OMP_WAIT_POLICY") == "PASSIVE", "scikit-learn came first"
sys.meta_path.insert(0, Watch())
import mainspring_runtime.{module}
assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
