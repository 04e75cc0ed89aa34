"""Rollouts when something else happens at the wrong moment: what was not proved is not taken, and nothing is asked twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from mainspring.api.splitting import SplitSnapshot
from mainspring.api.v1alpha1.common import LABEL_REVISION
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests import builders
from tests.sim import stories
from tests.sim.rollouts import SERVICE, outcomes, rollout, second_version, seen, selected, sizes, status, weights
from tests.sim.simulation import Simulation
from tests.sim.splits import Splits
from tests.sim.workloads import HANGS


@pytest.fixture
def lab() -> Iterator[Simulation]:
    """tumours-v1 is served by two pods, and changes go out by canary."""
    sim = stories.served()
    stories.canary()(sim)
    sim.settle()
    yield sim
    sim.close()


def roll_back(sim: Simulation) -> None:
    """tumours-v2 fails requests and is not taken."""
    sim.workloads.traffic.splits.error_rates["tumours-v2"] = 0.2
    second_version(sim, 60)
    assert outcomes(sim)[-1] == ("tumours-v2", "RolledBack")


def test_further_pods_are_not_waited_for_without_end(lab: Simulation) -> None:
    stories.canary(maxDuration="5m", maxHold="10m")(lab)
    second_version(lab, 10)
    lab.workloads.rule("serve-tumours-v2", HANGS)
    lab.advance(600)
    assert rollout(lab)["phase"] == "Promoting"
    lab.advance(600)
    assert outcomes(lab)[-1] == ("tumours-v2", "RolledBack")
    assert status(lab)["heldBack"]["reason"] == "NotReady"
    assert selected(lab) == "tumours-v1"


# ---- What was found bad


def test_what_was_rolled_back_stays_out_while_the_stable_pods_start_anew(lab: Simulation) -> None:
    roll_back(lab)
    lab.workloads.rule("serve-tumours-v1", HANGS)
    for pod in lab.names("Pod"):
        lab.delete("Pod", pod)
    lab.advance(30)
    assert lab.condition(*SERVICE, "Available")[0] == "False"
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    lab.workloads.rule("serve-tumours-v1", None)
    lab.advance(60)
    assert selected(lab) == "tumours-v1"


@pytest.mark.parametrize(
    ("stopped", "started"), [({"stop": True}, {"stop": False}), ({"replicas": 0}, {"replicas": 2})]
)
def test_what_was_rolled_back_does_not_come_with_the_next_start(
    lab: Simulation, stopped: dict[str, Any], started: dict[str, Any]
) -> None:
    roll_back(lab)
    lab.edit(*SERVICE, **stopped)
    lab.advance(30)
    lab.edit(*SERVICE, **started)
    lab.advance(60)
    assert selected(lab) == "tumours-v1"
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    assert status(lab)["heldBack"]["version"] == "tumours-v2"


def test_without_pods_nothing_is_proved_and_nothing_taken(lab: Simulation) -> None:
    second_version(lab, 10)
    lab.edit(*SERVICE, replicas=0)
    lab.advance(60)
    assert outcomes(lab)[-1] == ("tumours-v2", "Superseded")
    assert selected(lab) == "tumours-v1"
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 0}
    assert lab.condition(*SERVICE) == ("True", "WithoutPods")


def test_rollouts_are_counted_also_when_they_are_remembered_no_more(lab: Simulation) -> None:
    for number in range(12):
        lab.edit(*SERVICE, server={"maxQueue": 10 + number})
        lab.settle()
        stories.say("abort")(lab)
        lab.settle()
    assert len(status(lab)["rollouts"]) == 10
    assert status(lab)["rolloutsEnded"] == {"Aborted": 12, "Promoted": 1}
    lab.restart()
    lab.advance(60)
    assert status(lab)["rolloutsEnded"] == {"Aborted": 12, "Promoted": 1}


# ---- What was proved before


def test_in_the_middle_of_a_rollout_a_version_that_served_before_comes_back_at_once(lab: Simulation) -> None:
    second_version(lab, 200)
    lab.apply(builders.run("forest-3", seed=3))
    lab.settle()
    lab.advance(10)
    assert rollout(lab)["version"] == "tumours-v3"
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert selected(lab) == "tumours-v1"
    assert outcomes(lab)[-2:] == [("tumours-v3", "Superseded"), ("tumours-v1", "Promoted")]


# ---- A hold


def test_a_shadow_that_passes_while_it_is_held_still_gets_no_share_of_the_requests(lab: Simulation) -> None:
    stories.canary(strategy="Shadow", maxDuration="2m")(lab)
    stories.no_requests(lab)
    second_version(lab, 200)
    assert rollout(lab)["phase"] == "Holding"
    lab.workloads.traffic.splits.requests_per_second = 150.0
    assert weights(lab, 200) == [0]
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


def test_copies_that_pass_while_they_are_held_are_followed_by_the_first_step(lab: Simulation) -> None:
    stories.canary(maxDuration="2m")(lab)
    stories.no_requests(lab)
    second_version(lab, 200)
    lab.workloads.traffic.splits.requests_per_second = 150.0
    assert weights(lab, 200) == [0, 10, 50]


def test_a_person_is_waited_for_also_when_there_is_too_little_to_judge_by(lab: Simulation) -> None:
    stories.canary(maxDuration="2m", onInconclusive="Promote", manual=True)(lab)
    stories.no_requests(lab)
    second_version(lab, 300)
    assert rollout(lab)["phase"] == "AwaitingPromotion"
    assert "its time is over" in rollout(lab)["message"]
    assert selected(lab) == "tumours-v1"
    stories.say("promote")(lab)
    lab.settle()
    assert selected(lab) == "tumours-v2"


# ---- Looks


def test_counts_that_move_with_every_look_do_not_keep_the_operator_writing(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time passes while the operator works; here only its looks make it pass, and it is killed when it writes too often."""
    second_version(lab, 10)
    said, reads = Splits.snapshot, itertools.count(1)

    def moving(self: Splits, pod: Object) -> SplitSnapshot:
        snapshot = said(self, pod)
        *before, last = snapshot.stages
        arm = last.candidate.model_copy(update={"requests": last.candidate.requests + next(reads)})
        return snapshot.model_copy(update={"stages": [*before, last.model_copy(update={"candidate": arm})]})

    monkeypatch.setattr(Splits, "snapshot", moving)
    lab.restart(crash_after=20)
    lab.advance(3)
    assert rollout(lab)["weight"] == 10
    assert seen(lab, 20, lambda s: rollout(s)["metrics"][0]["requests"]), "it looks again later"


def test_a_number_that_is_out_of_bounds_for_a_moment_was_so_once(lab: Simulation) -> None:
    query = {"name": "basket", "query": "basket_$service", "maximum": 0.1}
    stories.canary(analysis={"prometheus": "http://prometheus:9090", "queries": [query]})(lab)
    numbers = lab.workloads.traffic.numbers
    numbers["basket_tumours"] = [0.05]
    second_version(lab, 10)
    numbers["basket_tumours"] = [0.5]
    strikes = seen(lab, 6, lambda s: [m.get("strikes") for m in rollout(s)["metrics"] if m["name"] == "basket"])
    assert strikes[-1] == [1]
    numbers["basket_tumours"] = [0.05]
    lab.advance(200)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


# ---- Where a Gateway splits


@pytest.fixture
def routed() -> Iterator[Simulation]:
    """tumours-v1 is served by pods that cannot split, behind a route."""
    sim = stories.served()
    sim.edit(*SERVICE, runtime={"image": "registry.example.org/server:1"}, expose={"gateway": {"name": "public"}})
    sim.advance(60)
    stories.canary()(sim)
    second_version(sim, 10)
    assert rollout(sim)["splitBy"] == "Gateway"
    assert len(backends(sim)) == 2
    yield sim
    sim.close()


def backends(sim: Simulation) -> list[str]:
    (rule,) = sim.get("HTTPRoute", "tumours")["spec"]["rules"]
    return [one["name"] for one in rule["backendRefs"]]


def leads_to(sim: Simulation, service: str) -> str | None:
    """The version whose pods a Service selects; None without one of them."""
    if service not in sim.names("Service"):
        return None
    wanted = sim.get("Service", service)["spec"]["selector"][LABEL_REVISION]
    (found,) = [d for d in sim.server.select("Deployment") if objects.labels(d)[LABEL_REVISION] == wanted]
    return str(objects.annotations_of(found)["mainspring.dev/model-version"]) if found["spec"]["replicas"] else None


def test_what_a_gateway_may_still_ask_answers_till_it_has_learnt_of_the_end(routed: Simulation) -> None:
    stories.say("abort")(routed)
    routed.advance(1)
    assert outcomes(routed)[-1] == ("tumours-v2", "Aborted")
    assert backends(routed) == ["tumours"]
    routed.advance(7)
    assert leads_to(routed, "tumours-candidate") == "tumours-v2"
    routed.advance(5)
    assert "tumours-candidate" not in routed.names("Service")
    assert sizes(routed) == {"tumours-v1": 2, "tumours-v2": 0}


def test_what_a_gateway_may_still_ask_answers_also_when_the_candidate_is_taken(routed: Simulation) -> None:
    stories.say("promote")(routed)
    found = seen(routed, 30, lambda sim: (backends(sim), leads_to(sim, "tumours-candidate")))
    assert found == [(["tumours"], "tumours-v2"), (["tumours"], None)]
    assert outcomes(routed)[-1] == ("tumours-v2", "Promoted")
    assert sizes(routed)["tumours-v2"] == 2


def test_what_a_gateway_may_still_ask_answers_also_when_something_newer_takes_its_place(routed: Simulation) -> None:
    routed.workloads.rule("serve-tumours-v3", HANGS)
    routed.apply(builders.run("forest-3", seed=3))

    def look(sim: Simulation) -> tuple[int, str | None]:
        return len(backends(sim)), leads_to(sim, "tumours-candidate")

    # The share of the last one ends before its pods go, and that of the next begins when its own are there.
    assert seen(routed, 30, look) == [(1, "tumours-v2"), (1, "tumours-v3")]
    routed.workloads.rule("serve-tumours-v3", None)
    assert seen(routed, 10, look)[-1] == (2, "tumours-v3")
