"""Services that scale by themselves, through time: load comes and goes, operators are killed, versions change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.sim import stories
from tests.sim.simulation import Simulation
from tests.sim.test_services import second_version, selected, sizes
from tests.sim.workloads import HANGS

CONCURRENCY = {
    "minReplicas": 2,
    "maxReplicas": 8,
    "metric": "Concurrency",
    "target": 4,
    "behaviour": {"scaleDownDelay": "60s"},
}
CPU = {"minReplicas": 2, "maxReplicas": 6, "metric": "CPU", "target": 70}


def scaled_by(policy: dict[str, Any]) -> Simulation:
    sim = stories.served()
    sim.edit("InferenceService", "tumours", replicas=None, autoscaling=policy)
    sim.advance(20)
    return sim


@pytest.fixture
def lab() -> Iterator[Simulation]:
    """tumours-v1 is served by two pods, more when there is more to do."""
    sim = scaled_by(CONCURRENCY)
    yield sim
    sim.close()


@pytest.fixture
def by_cpu() -> Iterator[Simulation]:
    sim = scaled_by(CPU)
    yield sim
    sim.close()


def pods(sim: Simulation) -> int:
    """Of the version that serves."""
    return sizes(sim)[selected(sim)]


def scaling(sim: Simulation) -> dict[str, Any]:
    return dict(sim.status("InferenceService", "tumours")["scaling"])


def test_pods_follow_the_load_up_at_once_and_down_after_the_delay(lab: Simulation) -> None:
    assert pods(lab) == 2
    lab.workloads.traffic.load = (23.0, 0.0)
    lab.advance(10)
    assert pods(lab) == 4
    lab.advance(20)
    assert pods(lab) == 6
    assert scaling(lab)["measured"] == pytest.approx(23, rel=0.2)
    lab.workloads.traffic.load = (1.0, 0.0)
    lab.advance(50)
    assert pods(lab) == 6
    lab.advance(40)
    assert pods(lab) == 2
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_an_operator_that_is_killed_loses_no_pods(lab: Simulation) -> None:
    lab.workloads.traffic.load = (23.0, 0.0)
    lab.advance(40)
    for _ in range(3):
        lab.restart()
        lab.advance(20)
        assert pods(lab) == 6


def test_servers_that_do_not_answer_keep_their_pods_and_are_named(lab: Simulation) -> None:
    lab.workloads.traffic.load = (23.0, 0.0)
    lab.advance(40)
    lab.workloads.traffic.load = (1.0, 0.0)
    every = [p for p in lab.names("Pod") if p.startswith("tumours-")]
    lab.workloads.traffic.deaf = set(every[:1])
    lab.advance(300)
    assert pods(lab) == 6
    assert lab.condition("InferenceService", "tumours", "AutoscalingActive") == ("False", "FiguresMissing")
    lab.workloads.traffic.deaf = set()
    lab.advance(120)
    assert pods(lab) == 2
    assert lab.condition("InferenceService", "tumours", "AutoscalingActive") == ("True", "FiguresRead")


def test_a_new_version_takes_over_with_as_many_pods_as_the_load_needs(lab: Simulation) -> None:
    lab.workloads.traffic.load = (23.0, 0.0)
    lab.advance(40)
    second_version(lab)
    lab.advance(60)
    assert selected(lab) == "tumours-v2"
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 6}


def test_a_quiet_service_writes_its_status_seldom(lab: Simulation) -> None:
    lab.workloads.traffic.load = (5.0, 0.0)
    lab.advance(120)
    before = len(lab.operator.api.writes)
    lab.advance(120)
    assert len(lab.operator.api.writes) - before <= 21


def grow(sim: Simulation, size: int) -> None:
    """What the autoscaler's controller does, by the target that it is given."""
    target = sim.get("HorizontalPodAutoscaler", "tumours")["spec"]["scaleTargetRef"]["name"]
    sim.server.merge(Ref("Deployment", builders.NAMESPACE, target), {"spec": {"replicas": size}})
    sim.settle()


def test_what_kubernetes_decides_stays(by_cpu: Simulation) -> None:
    grow(by_cpu, 5)
    by_cpu.restart()
    by_cpu.advance(1000)
    assert pods(by_cpu) == 5
    assert by_cpu.condition("InferenceService", "tumours") == ("True", "Serving")


def test_a_rollout_begins_at_the_present_size_and_follows_it(by_cpu: Simulation) -> None:
    grow(by_cpu, 4)
    by_cpu.workloads.rule("serve-tumours-v2", HANGS)
    second_version(by_cpu)
    assert sizes(by_cpu) == {"tumours-v1": 4, "tumours-v2": 4}
    down = by_cpu.get("HorizontalPodAutoscaler", "tumours")["spec"]["behavior"]["scaleDown"]
    assert down["selectPolicy"] == "Disabled"
    grow(by_cpu, 5)
    by_cpu.workloads.rule("serve-tumours-v2", None)
    by_cpu.settle()
    assert sizes(by_cpu) == {"tumours-v1": 0, "tumours-v2": 5}
    after = by_cpu.get("HorizontalPodAutoscaler", "tumours")["spec"]
    (serving,) = [d for d in by_cpu.server.select("Deployment") if d["spec"]["replicas"]]
    assert after["scaleTargetRef"]["name"] == objects.name(serving)
    assert after["behavior"]["scaleDown"]["selectPolicy"] == "Max"


def test_a_fixed_number_again_takes_the_autoscaler_away(by_cpu: Simulation) -> None:
    grow(by_cpu, 5)
    by_cpu.edit("InferenceService", "tumours", replicas=3, autoscaling=None)
    by_cpu.settle()
    assert pods(by_cpu) == 3
    assert not by_cpu.exists("HorizontalPodAutoscaler", "tumours")


def test_a_service_that_was_stopped_begins_with_the_least(by_cpu: Simulation) -> None:
    grow(by_cpu, 5)
    by_cpu.edit("InferenceService", "tumours", stop=True)
    by_cpu.settle()
    assert sizes(by_cpu) == {"tumours-v1": 0}
    by_cpu.edit("InferenceService", "tumours", stop=False)
    by_cpu.settle()
    assert pods(by_cpu) == 2
