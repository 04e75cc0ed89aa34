"""Rollouts: by steps, judged, taken or not; and whatever happens in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mainspring.api.v1alpha1.common import LABEL_REVISION
from mainspring.plan.common import objects
from tests import builders
from tests.sim import stories
from tests.sim.rollouts import SERVICE, outcomes, rollout, second_version, seen, selected, sizes, status, weights
from tests.sim.simulation import Simulation
from tests.sim.workloads import HANGS, Ends, Waits

BROKEN = Ends(3, "ModelNotLoadable", "the file has an unknown type")


@pytest.fixture
def lab() -> Iterator[Simulation]:
    """tumours-v1 is served by two pods, and changes go out by canary."""
    sim = stories.served()
    stories.canary()(sim)
    sim.settle()
    yield sim
    sim.close()


def test_a_candidate_gets_a_growing_share_and_then_all(lab: Simulation) -> None:
    stories.second_run(lab)
    assert weights(lab, 200) == [10, 50]
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")
    assert selected(lab) == "tumours-v2"
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 2}
    assert not rollout(lab)
    assert not lab.exists("Service", "tumours-candidate")
    assert lab.condition(*SERVICE) == ("True", "Serving")


def test_a_step_waits_for_its_part_of_the_evidence_and_not_for_its_time_alone(lab: Simulation) -> None:
    lab.workloads.traffic.splits.requests_per_second = 20.0
    second_version(lab, 120)
    assert rollout(lab)["weight"] == 10
    (metric,) = [m for m in rollout(lab)["metrics"] if m["name"] == "ErrorRate"]
    assert metric["verdict"] == "Inconclusive"
    assert 0 < metric["requests"] < metric["needed"] / 2


def test_a_candidate_that_fails_requests_is_rolled_back_with_the_numbers(lab: Simulation) -> None:
    lab.workloads.traffic.splits.error_rates["tumours-v2"] = 0.2
    second_version(lab, 60)
    assert outcomes(lab)[-1] == ("tumours-v2", "RolledBack")
    assert status(lab)["heldBack"]["reason"] == "ErrorRate"
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    assert selected(lab) == "tumours-v1"
    assert not lab.exists("Service", "tumours-candidate")
    assert lab.condition(*SERVICE) == ("True", "RolledBack")
    assert "tumours-v1 keeps serving" in lab.message(*SERVICE)
    assert lab.events("tumours", "RolledBack")


def test_what_was_rolled_back_is_not_tried_again_by_itself(lab: Simulation) -> None:
    lab.workloads.traffic.splits.error_rates["tumours-v2"] = 0.2
    second_version(lab, 60)
    lab.workloads.traffic.splits.error_rates.clear()
    lab.restart()
    lab.advance(600)
    assert outcomes(lab)[-1] == ("tumours-v2", "RolledBack")
    assert selected(lab) == "tumours-v1"


def test_a_person_takes_it_all_the_same(lab: Simulation) -> None:
    lab.workloads.traffic.splits.error_rates["tumours-v2"] = 0.2
    second_version(lab, 60)
    lab.annotate(*SERVICE, promote=status(lab)["heldBack"]["revision"])
    lab.settle()
    assert selected(lab) == "tumours-v2"
    assert "heldBack" not in status(lab)


def test_a_change_of_the_spec_that_is_rolled_back_is_stalled(lab: Simulation) -> None:
    lab.edit(*SERVICE, resources={"requests": {"memory": "1Gi"}})
    lab.settle()
    assert lab.condition(*SERVICE) == ("Unknown", "RollingOut")
    lab.workloads.traffic.splits.error_rates[rollout(lab)["revision"]] = 0.3
    lab.advance(60)
    assert lab.condition(*SERVICE, "Stalled") == ("True", "RolledBack")
    assert lab.condition(*SERVICE, "Available") == ("True", "Serving")
    lab.edit(*SERVICE, resources=None)
    lab.settle()
    assert lab.condition(*SERVICE) == ("True", "Serving")
    assert "heldBack" not in status(lab)


def test_the_stable_revision_keeps_its_size_and_the_candidate_follows_its_weight(lab: Simulation) -> None:
    lab.edit(*SERVICE, replicas=4)
    lab.settle()
    second_version(lab)
    assert seen(lab, 150, lambda s: sizes(s)["tumours-v2"]) == [1, 2, 4]
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 4}


def test_the_share_does_not_rise_while_pods_of_the_candidate_are_missing(lab: Simulation) -> None:
    lab.edit(*SERVICE, replicas=4)
    lab.settle()
    second_version(lab, 10)
    assert rollout(lab)["weight"] == 10
    lab.workloads.rule("serve-tumours-v2", HANGS)
    lab.advance(120)
    assert sizes(lab) == {"tumours-v1": 4, "tumours-v2": 2}
    assert rollout(lab)["weight"] == 10
    lab.workloads.rule("serve-tumours-v2", None)
    lab.advance(60)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


def test_the_share_does_not_rise_before_every_stable_pod_applies_it(lab: Simulation) -> None:
    lab.workloads.traffic.splits.deaf = True
    second_version(lab, 300)
    assert "stepStartedAt" not in rollout(lab)
    assert "waits for 2 stable pods" in rollout(lab)["message"]
    lab.workloads.traffic.splits.deaf = False
    lab.advance(200)
    assert selected(lab) == "tumours-v2"


def test_a_candidate_that_cannot_load_is_out_at_once(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", BROKEN)
    second_version(lab)
    assert outcomes(lab)[-1] == ("tumours-v2", "Failed")
    assert status(lab)["heldBack"]["reason"] == "ModelNotLoadable"
    assert sizes(lab)["tumours-v2"] == 0


def test_a_candidate_that_dies_in_the_middle_is_rolled_back(lab: Simulation) -> None:
    second_version(lab, 10)
    lab.workloads.rule("serve-tumours-v2", Ends(137, kubernetes_reason="OOMKilled"))
    lab.settle()
    lab.advance(10)
    assert outcomes(lab)[-1] == ("tumours-v2", "RolledBack")
    assert status(lab)["heldBack"]["reason"] in ("OutOfMemory", "ErrorRate")


def test_a_candidate_that_waits_for_something_goes_on_when_it_is_there(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", Waits("CreateContainerConfigError", 'secret "x" not found'))
    second_version(lab, 60)
    assert lab.condition(*SERVICE, "Stalled") == ("True", "CreateContainerConfigError")
    assert outcomes(lab)[-1] == ("tumours-v1", "Promoted")
    lab.workloads.rule("serve-tumours-v2", None)
    lab.advance(200)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")
    assert "lastFailure" not in status(lab)


def test_a_candidate_that_never_becomes_ready_is_given_up(lab: Simulation) -> None:
    stories.canary(maxHold="10m")(lab)
    lab.workloads.rule("serve-tumours-v2", HANGS)
    second_version(lab, 500)
    assert rollout(lab)["phase"] == "Starting"
    lab.advance(200)
    assert outcomes(lab)[-1] == ("tumours-v2", "Failed")
    assert status(lab)["heldBack"]["reason"] == "NotReady"


def test_another_version_in_the_middle_supersedes(lab: Simulation) -> None:
    second_version(lab, 10)
    lab.apply(builders.run("forest-3", seed=3))
    lab.settle()
    lab.advance(200)
    assert outcomes(lab)[1:] == [("tumours-v2", "Superseded"), ("tumours-v3", "Promoted")]
    assert sizes(lab)["tumours-v2"] == 0


def test_back_to_what_serves_in_the_middle_ends_it(lab: Simulation) -> None:
    second_version(lab, 10)
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert outcomes(lab)[-1] == ("tumours-v2", "Superseded")
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    assert not rollout(lab)


def test_stop_in_the_middle_ends_it_and_start_begins_anew(lab: Simulation) -> None:
    second_version(lab, 10)
    lab.edit(*SERVICE, stop=True)
    lab.settle()
    assert outcomes(lab)[-1] == ("tumours-v2", "Superseded")
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 0}
    lab.edit(*SERVICE, stop=False)
    lab.advance(10)
    assert selected(lab) in ("tumours-v1", "tumours-v2")
    assert lab.condition(*SERVICE, "Available") == ("True", "Serving")


def test_a_version_that_served_before_comes_back_at_once(lab: Simulation) -> None:
    second_version(lab, 200)
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert selected(lab) == "tumours-v1"
    assert status(lab)["rollouts"][-1]["reason"] == "ServedBefore"


def test_abort_ends_it(lab: Simulation) -> None:
    second_version(lab, 10)
    stories.say("abort")(lab)
    lab.settle()
    assert outcomes(lab)[-1] == ("tumours-v2", "Aborted")
    assert lab.condition(*SERVICE) == ("True", "Aborted")
    assert selected(lab) == "tumours-v1"


def test_an_abort_of_another_revision_says_nothing_of_this_one(lab: Simulation) -> None:
    lab.annotate(*SERVICE, abort="another1")
    second_version(lab, 200)
    assert selected(lab) == "tumours-v2"


def test_promote_ends_the_judging_not_the_care(lab: Simulation) -> None:
    second_version(lab, 10)
    lab.workloads.rule("serve-tumours-v2", HANGS)
    lab.edit(*SERVICE, replicas=3)
    stories.say("promote")(lab)
    lab.settle()
    assert rollout(lab)["phase"] == "Promoting"
    assert selected(lab) == "tumours-v1"
    lab.workloads.rule("serve-tumours-v2", None)
    lab.settle()
    assert selected(lab) == "tumours-v2"


def test_manual_waits_for_a_person(lab: Simulation) -> None:
    stories.canary(manual=True)(lab)
    second_version(lab, 300)
    assert (rollout(lab)["phase"], rollout(lab)["weight"], rollout(lab)["verdict"]) == (
        "AwaitingPromotion",
        50,
        "Passed",
    )
    stories.say("promote")(lab)
    lab.settle()
    assert selected(lab) == "tumours-v2"


def test_without_enough_requests_copies_come_first(lab: Simulation) -> None:
    stories.canary(maxDuration="20m")(lab)
    lab.workloads.traffic.splits.requests_per_second = 3.0
    second_version(lab, 60)
    assert (rollout(lab)["phase"], rollout(lab)["weight"], rollout(lab)["mirror"]) == ("Mirroring", 0, 100)
    lab.advance(900)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


@pytest.mark.parametrize(
    ("wish", "outcome", "reason"),
    [("Promote", "Promoted", ""), ("Rollback", "RolledBack", "Inconclusive"), ("Hold", "RolledBack", "HoldEnded")],
)
def test_without_any_request_it_ends_as_the_user_wishes(lab: Simulation, wish: str, outcome: str, reason: str) -> None:
    stories.canary(maxDuration="5m", maxHold="10m", onInconclusive=wish)(lab)
    stories.no_requests(lab)
    second_version(lab, 400)
    assert rollout(lab).get("phase") == ("Holding" if wish == "Hold" else None)
    lab.advance(600)
    assert status(lab)["rollouts"][-1]["outcome"] == outcome
    assert status(lab)["rollouts"][-1]["reason"].startswith(reason)


def test_while_it_is_held_late_evidence_still_counts(lab: Simulation) -> None:
    stories.canary(maxDuration="2m")(lab)
    stories.no_requests(lab)
    second_version(lab, 200)
    assert rollout(lab)["phase"] == "Holding"
    lab.workloads.traffic.splits.requests_per_second = 150.0
    lab.advance(200)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


def test_a_shadow_gets_copies_and_no_requests(lab: Simulation) -> None:
    stories.canary(strategy="Shadow")(lab)
    stories.second_run(lab)
    assert weights(lab, 150) == [0]
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


def test_blue_and_green_change_at_once_after_one_step(lab: Simulation) -> None:
    stories.canary(strategy="BlueGreen")(lab)
    stories.second_run(lab)
    lab.settle()
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 2}
    assert weights(lab, 100) == [0]
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


def test_a_setting_of_the_same_model_is_judged_by_its_answers_too(lab: Simulation) -> None:
    lab.workloads.traffic.splits.disagreement = 0.02
    lab.edit(*SERVICE, server={"maxQueue": 10})
    lab.settle()
    lab.advance(300)
    assert status(lab)["heldBack"]["reason"] == "Disagreement"


def test_counts_of_pods_that_went_are_not_lost(lab: Simulation) -> None:
    """Scaled down in the middle: what the pod that went had counted stays."""
    lab.edit(*SERVICE, replicas=3)
    lab.settle()
    second_version(lab, 25)
    before = rollout(lab)["metrics"][0]["requests"]
    assert before > 100
    lab.edit(*SERVICE, replicas=1)
    lab.settle()
    lab.advance(3)
    assert rollout(lab)["metrics"][0]["requests"] >= before
    assert len(rollout(lab)["countedOf"]) == 2


def test_pods_that_were_never_told_of_a_split_are_left_alone(lab: Simulation) -> None:
    assert not [p for p in lab.server.select("Pod") if "mainspring.dev/split" in objects.annotations_of(p)]


def test_servers_that_cannot_split_leave_it_to_the_number_of_pods(lab: Simulation) -> None:
    """An image of the user's own, or one of a release before: nobody counts, so the steps are held by time alone."""
    lab.edit(*SERVICE, replicas=4)
    lab.workloads.traffic.foreign = True
    lab.settle()
    second_version(lab, 10)
    assert (rollout(lab)["splitBy"], rollout(lab)["weight"]) == ("Pods", 10)
    assert LABEL_REVISION not in lab.get("Service", "tumours")["spec"]["selector"]
    assert sizes(lab) == {"tumours-v1": 4, "tumours-v2": 1}
    lab.advance(31)
    assert sizes(lab) == {"tumours-v1": 4, "tumours-v2": 4}
    lab.advance(60)
    assert selected(lab) == "tumours-v2"
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


def test_steps_may_change_in_the_middle(lab: Simulation) -> None:
    second_version(lab, 60)
    assert rollout(lab)["step"] == 1
    lab.edit(*SERVICE, rollout={"steps": [10], "stepDuration": "30s"})
    lab.settle()
    lab.advance(100)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


QUERY = {
    "prometheus": "http://prometheus.monitoring:9090",
    "queries": [{"name": "basket", "query": "basket_$service", "maximum": 0.1}],
}


@pytest.mark.parametrize(("values", "outcome"), [([0.05], "Promoted"), ([0.5], "RolledBack")])
def test_a_number_of_prometheus_decides_too(lab: Simulation, values: list[float], outcome: str) -> None:
    stories.canary(analysis=QUERY)(lab)
    lab.workloads.traffic.numbers["basket_tumours"] = values
    second_version(lab, 200)
    assert outcomes(lab)[-1] == ("tumours-v2", outcome)


@pytest.mark.parametrize("how", ["no data", "two series", "down"])
def test_a_number_that_nobody_knows_decides_nothing(lab: Simulation, how: str) -> None:
    stories.canary(analysis=QUERY, maxDuration="3m")(lab)
    lab.workloads.traffic.numbers["basket_tumours"] = [0.01, 0.02] if how == "two series" else []
    lab.workloads.traffic.prometheus = "down" if how == "down" else "up"
    second_version(lab, 100)
    assert ("no answer within" in rollout(lab)["message"]) == (how == "down")
    lab.advance(150)
    assert rollout(lab)["phase"] == "Holding"
    assert "basket" in rollout(lab)["message"]
    lab.workloads.traffic.prometheus = "up"
    lab.workloads.traffic.numbers["basket_tumours"] = [0.01]
    lab.advance(60)
    assert outcomes(lab)[-1] == ("tumours-v2", "Promoted")


@pytest.mark.parametrize(("knows", "outcome"), [("tumours-v1", "RolledBack"), ("tumours-v2", "Promoted")])
def test_labels_that_come_in_decide_too(lab: Simulation, knows: str, outcome: str) -> None:
    """The world has changed; one of the two versions is right more often now."""
    stories.canary(analysis={"maxQualityDrop": 0.2})(lab)
    lab.workloads.traffic.change(lab.server)
    lab.workloads.traffic.versions_that_know.add(knows)
    second_version(lab, 400)
    assert outcomes(lab)[-1] == ("tumours-v2", outcome)
    if outcome == "RolledBack":
        assert status(lab)["heldBack"]["reason"] == "QualityDrop"
