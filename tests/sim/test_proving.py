"""A Model with `promotion.provenBy`: candidates go to one service first, and what they do there decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.sim import stories
from tests.sim.simulation import NAMESPACE, Simulation
from tests.sim.workloads import HANGS, Ends, Waits

BROKEN = Ends(3, "ModelNotLoadable", "the file has an unknown type")
DAY = 24 * 3600


@pytest.fixture
def lab() -> Iterator[Simulation]:
    """tumours-v1 is champion and served by `tumours`, which proves what comes next; `other` follows the champion."""
    sim = stories.served()
    stories.proven()(sim)
    sim.apply(builders.service("other"))
    sim.settle()
    yield sim
    sim.close()


def second_version(sim: Simulation) -> None:
    stories.second_run(sim)
    sim.settle()


def champion(sim: Simulation) -> str:
    return str(sim.status("Model", "tumours").get("champion", ""))


def proving(sim: Simulation) -> str:
    return str((sim.status("Model", "tumours").get("proving") or {}).get("version", ""))


def served(sim: Simulation, service: str = "tumours") -> str:
    return str(sim.status("InferenceService", service).get("stableVersion", ""))


def asked(sim: Simulation, service: str = "tumours") -> set[str]:
    """Versions for which the service has pods, or wants some."""
    owner = sim.get("InferenceService", service)
    mine = [d for d in sim.server.select("Deployment") if objects.is_controlled_by(d, owner)]
    return {objects.annotations_of(d)["mainspring.dev/model-version"] for d in mine if d["spec"]["replicas"]}


def decisions(sim: Simulation) -> list[tuple[str, str, str]]:
    return [(h["version"], h["to"], h["reason"]) for h in sim.status("Model", "tumours").get("history", ())]


def rejected(sim: Simulation, version: str) -> str:
    return str(objects.annotations_of(sim.get("ModelVersion", version)).get("mainspring.dev/rejected", ""))


def serving(sim: Simulation, version: str, behaviour: Any) -> None:
    sim.workloads.rule(f"serve-{version}", behaviour)


def let_it_serve(sim: Simulation, version: str) -> None:
    serving(sim, version, None)
    sim.settle()


def half_way(sim: Simulation) -> None:
    """tumours-v2 is being proved and does not come up."""
    serving(sim, "tumours-v2", HANGS)
    second_version(sim)
    assert (champion(sim), proving(sim)) == ("tumours-v1", "tumours-v2")


def say(sim: Simulation, outcome: str, reason: str = "", version: str = "tumours-v2") -> None:
    """The service tells how a rollout ended."""
    before = sim.status("InferenceService", "tumours").get("rollouts") or []
    told = {"version": version, "revision": "r", "outcome": outcome, "reason": reason, "time": sim.clock.text()}
    sim.server.merge(Ref("InferenceService", NAMESPACE, "tumours"), {"status": {"rollouts": [*before, told]}})
    sim.settle()


def lose_status(sim: Simulation, *kinds: str) -> None:
    sim.server.wipe_status(kinds or stories.OUR_KINDS)
    sim.restart()
    sim.settle()


# ---- The usual course


def test_the_candidate_is_rolled_out_by_one_service_and_the_others_follow_the_champion(lab: Simulation) -> None:
    half_way(lab)
    assert asked(lab) == {"tumours-v1", "tumours-v2"}
    assert asked(lab, "other") == {"tumours-v1"}
    assert lab.condition("Model", "tumours") == ("True", "Proving")
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("Unknown", "Proving")
    let_it_serve(lab, "tumours-v2")
    assert (champion(lab), proving(lab)) == ("tumours-v2", "")
    assert served(lab) == served(lab, "other") == "tumours-v2"
    assert decisions(lab)[-1] == ("tumours-v2", "Champion", "RolledOut")
    assert lab.condition("Model", "tumours") == ("True", "Champion")
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("True", "Promoted")
    assert lab.condition("ModelVersion", "tumours-v1", "RolledOut") == ("", "")


def test_a_candidate_that_cannot_load_is_rejected_and_its_pods_end(lab: Simulation) -> None:
    serving(lab, "tumours-v2", BROKEN)
    second_version(lab)
    assert (champion(lab), proving(lab)) == ("tumours-v1", "")
    assert rejected(lab, "tumours-v2") == "Failed"
    assert decisions(lab)[-1] == ("tumours-v2", "Rejected", "Failed")
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("False", "Failed")
    assert "the file has an unknown type" in lab.message("ModelVersion", "tumours-v2", "RolledOut")
    assert lab.status("ModelVersion", "tumours-v2")["stage"] == "Rejected"
    assert asked(lab) == {"tumours-v1"}
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    assert len(lab.events("tumours", "CandidateRejected")) == 1
    lab.advance(2 * DAY)
    assert decisions(lab)[-1] == ("tumours-v2", "Rejected", "Failed"), "it is not tried again"


def test_the_first_champion_is_the_one_that_comes_up(sim: Simulation) -> None:
    serving(sim, "tumours-v1", HANGS)
    sim.apply(builders.dataset(), builders.model(promotion={"provenBy": "tumours"}), builders.run(), builders.service())
    sim.settle()
    assert (champion(sim), proving(sim)) == ("", "tumours-v1")
    let_it_serve(sim, "tumours-v1")
    assert (champion(sim), proving(sim)) == ("tumours-v1", "")
    assert sim.condition("InferenceService", "tumours") == ("True", "Serving")


def test_a_first_version_that_cannot_start_is_rejected_and_the_next_one_tried(sim: Simulation) -> None:
    serving(sim, "tumours-v1", BROKEN)
    sim.apply(builders.dataset(), builders.model(promotion={"provenBy": "tumours"}), builders.run(), builders.service())
    sim.settle()
    assert (champion(sim), proving(sim)) == ("", "")
    assert rejected(sim, "tumours-v1") == "Failed"
    assert asked(sim) == set()
    second_version(sim)
    assert champion(sim) == served(sim) == "tumours-v2"


def test_a_model_without_versions_waits_for_one(sim: Simulation) -> None:
    sim.apply(builders.dataset(), builders.model(promotion={"provenBy": "tumours"}), builders.service())
    sim.settle()
    assert sim.condition("Model", "tumours") == ("True", "NoVersions")
    assert sim.condition("InferenceService", "tumours") == ("Unknown", "NoChampion")


@pytest.mark.parametrize("outcome", ["RolledBack", "Aborted"])
def test_what_the_rollout_says_is_final(lab: Simulation, outcome: str) -> None:
    half_way(lab)
    say(lab, outcome, "SlowShare rose by 0.2")
    assert rejected(lab, "tumours-v2") == outcome
    assert "SlowShare rose by 0.2" in lab.message("ModelVersion", "tumours-v2")
    assert asked(lab) == {"tumours-v1"}
    let_it_serve(lab, "tumours-v2")
    assert champion(lab) == "tumours-v1"


def test_a_canary_decides_and_the_others_follow_its_word(lab: Simulation) -> None:
    stories.canary()(lab)
    second_version(lab)
    lab.advance(20)
    rollout = lab.status("InferenceService", "tumours")["rollout"]
    assert (rollout["version"], rollout["weight"], rollout["cause"]) == ("tumours-v2", 10, "Candidate")
    assert (champion(lab), asked(lab, "other")) == ("tumours-v1", {"tumours-v1"})
    lab.advance(200)
    assert champion(lab) == served(lab) == served(lab, "other") == "tumours-v2"
    assert lab.status("Model", "tumours")["lastProvingSeconds"] >= 60, "two steps of 30 s"


def test_a_canary_that_fails_requests_rejects_its_version_with_the_numbers(lab: Simulation) -> None:
    stories.canary()(lab)
    stories.requests_that_fail("tumours-v2", 0.2)(lab)
    second_version(lab)
    lab.advance(120)
    assert (champion(lab), proving(lab), rejected(lab, "tumours-v2")) == ("tumours-v1", "", "RolledBack")
    told = lab.message("ModelVersion", "tumours-v2", "RolledOut")
    assert told.startswith("InferenceService tumours: ErrorRate: ")
    assert asked(lab) == asked(lab, "other") == {"tumours-v1"}
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    assert "heldBack" not in lab.status("InferenceService", "tumours")


@pytest.mark.parametrize(
    "trouble",
    [Waits("ImagePullBackOff", "no such image"), Ends(1, "ArtifactStoreUnavailable", "s3://x does not answer")],
    ids=lambda trouble: trouble.reason,
)
@pytest.mark.parametrize("policy", [None, {"steps": [10, 50], "stepDuration": "30s"}], ids=["Immediate", "Canary"])
def test_what_waiting_mends_rejects_nobody(lab: Simulation, trouble: Waits | Ends, policy: Any) -> None:
    lab.edit("InferenceService", "tumours", rollout=policy)
    serving(lab, "tumours-v2", trouble)
    second_version(lab)
    lab.advance(3600)
    assert (proving(lab), rejected(lab, "tumours-v2")) == ("tumours-v2", "")
    assert lab.condition("InferenceService", "tumours", "Stalled") == ("True", trouble.reason)
    serving(lab, "tumours-v2", None)
    lab.advance(300)
    assert champion(lab) == "tumours-v2"


def test_a_candidate_that_came_up_in_the_end_is_promoted(lab: Simulation) -> None:
    half_way(lab)
    lab.advance(3600)
    let_it_serve(lab, "tumours-v2")
    assert champion(lab) == "tumours-v2"


def test_a_superseded_rollout_is_no_verdict(lab: Simulation) -> None:
    half_way(lab)
    say(lab, "Superseded")
    assert proving(lab) == "tumours-v2"
    let_it_serve(lab, "tumours-v2")
    assert champion(lab) == "tumours-v2"


def test_a_change_of_the_service_in_the_middle_goes_on_with_the_same_candidate(lab: Simulation) -> None:
    half_way(lab)
    lab.edit("InferenceService", "tumours", resources={"requests": {"memory": "1Gi"}})
    lab.settle()
    assert proving(lab) == "tumours-v2"
    let_it_serve(lab, "tumours-v2")
    assert champion(lab) == "tumours-v2"


# ---- Queue and deadline


def test_a_newer_candidate_waits_and_of_those_that_wait_only_the_newest_is_next(lab: Simulation) -> None:
    half_way(lab)
    for number in (3, 4):
        lab.apply(builders.run(f"forest-{number}", seed=number))
        lab.settle()
    assert (proving(lab), lab.status("Model", "tumours")["candidate"]) == ("tumours-v2", "tumours-v4")
    assert "tumours-v4 waits for the verdict" in lab.message("Model", "tumours")
    let_it_serve(lab, "tumours-v2")
    assert [version for version, _, _ in decisions(lab)] == ["tumours-v1", "tumours-v2", "tumours-v4"]
    assert rejected(lab, "tumours-v3") == "", "it was passed over, not rejected"
    assert lab.status("ModelVersion", "tumours-v3")["stage"] == "Archived"
    assert "tumours-v3" not in asked(lab)


def test_when_all_newer_ones_were_rejected_one_that_was_passed_over_has_its_turn(lab: Simulation) -> None:
    half_way(lab)
    serving(lab, "tumours-v4", BROKEN)
    for number in (3, 4):
        lab.apply(builders.run(f"forest-{number}", seed=number))
        lab.settle()
    say(lab, "RolledBack")
    assert rejected(lab, "tumours-v4") == "Failed"
    assert champion(lab) == "tumours-v3"


def test_without_a_verdict_in_time_the_candidate_is_rejected_and_the_next_one_sent(lab: Simulation) -> None:
    half_way(lab)
    stories.third_run(lab)
    lab.advance(DAY - 60)
    assert proving(lab) == "tumours-v2"
    lab.advance(120)
    assert rejected(lab, "tumours-v2") == "CandidateDeadlineExceeded"
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("False", "CandidateDeadlineExceeded")
    assert champion(lab) == "tumours-v3"


def test_the_deadline_runs_on_while_the_operator_is_down(lab: Simulation) -> None:
    half_way(lab)
    lab.clock.seconds += DAY
    lab.restart()
    lab.settle()
    assert rejected(lab, "tumours-v2") == "CandidateDeadlineExceeded"


# ---- The service that proves


def test_a_service_that_does_not_exist_is_waited_for_without_a_deadline(lab: Simulation) -> None:
    lab.edit("Model", "tumours", promotion={"provenBy": "later"})
    second_version(lab)
    lab.advance(3 * DAY)
    assert lab.condition("Model", "tumours") == ("Unknown", "ProvingServiceNotFound")
    assert "create it, or correct the name" in lab.message("Model", "tumours")
    assert (champion(lab), rejected(lab, "tumours-v2")) == ("tumours-v1", "")
    lab.apply(builders.service("later"))
    lab.settle()
    assert champion(lab) == "tumours-v2"
    assert lab.condition("Model", "tumours") == ("True", "Champion")


def test_a_service_that_is_deleted_in_the_middle_is_waited_for(lab: Simulation) -> None:
    half_way(lab)
    lab.delete("InferenceService", "tumours")
    lab.settle()
    assert (champion(lab), proving(lab)) == ("tumours-v1", "")
    assert lab.condition("Model", "tumours") == ("Unknown", "ProvingServiceNotFound")
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("False", "NotProven")
    lab.advance(2 * DAY)
    serving(lab, "tumours-v2", None)
    lab.apply(builders.service())
    lab.settle()
    assert champion(lab) == "tumours-v2"
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("True", "Promoted")


@pytest.mark.parametrize(
    ("stopped", "started"), [({"stop": True}, {"stop": False}), ({"replicas": 0}, {"replicas": 2})]
)
def test_a_service_that_is_stopped_in_the_middle_goes_on_when_it_is_started(
    lab: Simulation, stopped: dict[str, Any], started: dict[str, Any]
) -> None:
    half_way(lab)
    lab.edit("InferenceService", "tumours", **stopped)
    lab.advance(2 * DAY)
    assert lab.condition("Model", "tumours") == ("True", "ProvingServiceStopped")
    assert (champion(lab), proving(lab), rejected(lab, "tumours-v2")) == ("tumours-v1", "", "")
    lab.edit("InferenceService", "tumours", **started)
    lab.settle()
    assert (champion(lab), proving(lab)) == ("tumours-v1", "tumours-v2"), "without pods nothing was proved"
    serving(lab, "tumours-v2", None)
    lab.settle()
    assert champion(lab) == served(lab) == "tumours-v2"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ({"version": "tumours-v1"}, "it stays on tumours-v1"),
        ({"name": "lungs"}, "it follows Model lungs"),
        ({"name": "tumours", "alias": "shadow"}, "by alias shadow"),
    ],
)
def test_a_service_that_is_turned_away_in_the_middle_cannot_prove(
    lab: Simulation, reference: dict[str, str], says: str
) -> None:
    half_way(lab)
    lab.edit("InferenceService", "tumours", model={"name": None, **reference})
    lab.settle()
    assert lab.condition("Model", "tumours") == ("False", "ProvingServiceDoesNotFollow")
    assert says in lab.message("Model", "tumours")
    assert (champion(lab), proving(lab), rejected(lab, "tumours-v2")) == ("tumours-v1", "", "")
    serving(lab, "tumours-v2", None)
    lab.edit("InferenceService", "tumours", model={"name": "tumours", "alias": None, "version": None})
    lab.settle()
    assert champion(lab) == "tumours-v2"


def test_two_models_cannot_be_proven_by_one_service(lab: Simulation) -> None:
    lab.apply(builders.model("lungs", promotion={"provenBy": "tumours"}), builders.run("l", model="lungs", seed=9))
    lab.settle()
    assert lab.condition("Model", "lungs") == ("False", "ProvingServiceDoesNotFollow")
    second_version(lab)
    assert champion(lab) == "tumours-v2", "the one that it follows is not disturbed"


# ---- The Model


def test_without_proven_by_in_the_middle_the_gates_decide(lab: Simulation) -> None:
    half_way(lab)
    lab.edit("Model", "tumours", promotion={"provenBy": None})
    lab.settle()
    assert (champion(lab), proving(lab)) == ("tumours-v2", "")
    assert decisions(lab)[-1] == ("tumours-v2", "Champion", "GatesPassed")


def test_another_service_in_the_middle_proves_it_anew(lab: Simulation) -> None:
    half_way(lab)
    lab.edit("Model", "tumours", promotion={"provenBy": "other"})
    lab.settle()
    assert asked(lab) == {"tumours-v1"}
    assert asked(lab, "other") == {"tumours-v1", "tumours-v2"}
    let_it_serve(lab, "tumours-v2")
    assert champion(lab) == "tumours-v2"


def test_a_pin_on_the_champion_ends_the_proving_and_its_removal_does_not_bring_it_back(lab: Simulation) -> None:
    half_way(lab)
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert (champion(lab), proving(lab)) == ("tumours-v1", "")
    assert rejected(lab, "tumours-v2") == "RolledBackByPin"
    assert asked(lab) == {"tumours-v1"}
    stories.pin(None)(lab)
    let_it_serve(lab, "tumours-v2")
    assert (champion(lab), proving(lab)) == ("tumours-v1", "")
    stories.third_run(lab)
    lab.settle()
    assert champion(lab) == "tumours-v3"


def test_a_pin_on_the_candidate_promotes_it_at_once_and_all_follow_by_their_own_policies(lab: Simulation) -> None:
    half_way(lab)
    stories.pin("tumours-v2")(lab)
    lab.settle()
    assert (champion(lab), proving(lab)) == ("tumours-v2", "")
    assert asked(lab, "other") == {"tumours-v1", "tumours-v2"}
    assert served(lab) == served(lab, "other") == "tumours-v1", "what does not come up takes nobody's place"
    let_it_serve(lab, "tumours-v2")
    assert served(lab) == served(lab, "other") == "tumours-v2"


def test_in_manual_mode_only_a_pin_promotes(lab: Simulation) -> None:
    lab.edit("Model", "tumours", promotion={"mode": "Manual"})
    second_version(lab)
    assert (champion(lab), proving(lab)) == ("tumours-v1", "")
    stories.pin("tumours-v2")(lab)
    lab.settle()
    assert champion(lab) == served(lab) == "tumours-v2"


def test_manual_mode_in_the_middle_takes_the_candidate_back(lab: Simulation) -> None:
    half_way(lab)
    lab.edit("Model", "tumours", promotion={"mode": "Manual"})
    lab.settle()
    assert (champion(lab), proving(lab), asked(lab)) == ("tumours-v1", "", {"tumours-v1"})


# ---- The version


def test_a_version_that_is_deleted_in_the_middle_makes_room_for_the_next(lab: Simulation) -> None:
    half_way(lab)
    stories.third_run(lab)
    lab.settle()
    lab.delete("ModelVersion", "tumours-v2")
    lab.settle()
    assert champion(lab) == served(lab) == "tumours-v3"


def test_a_version_that_loses_its_verification_in_the_middle_is_taken_back(lab: Simulation) -> None:
    half_way(lab)
    ref = Ref("ModelVersion", NAMESPACE, "tumours-v2")
    lab.server.merge(ref, {"metadata": {"annotations": {"mainspring.dev/verified": "Mismatch"}}})
    lab.settle()
    assert lab.condition("ModelVersion", "tumours-v2", "ArtifactVerified") == ("False", "ArtifactDigestMismatch")
    assert (champion(lab), proving(lab), asked(lab)) == ("tumours-v1", "", {"tumours-v1"})


# ---- Losses


@pytest.mark.parametrize("kinds", [("Model",), ("InferenceService",), stories.OUR_KINDS])
def test_a_status_that_is_lost_in_the_middle_changes_no_outcome(lab: Simulation, kinds: tuple[str, ...]) -> None:
    half_way(lab)
    since = lab.status("Model", "tumours")["proving"]["since"]
    lose_status(lab, *kinds)
    assert (champion(lab), proving(lab)) == ("tumours-v1", "tumours-v2")
    assert lab.status("Model", "tumours")["proving"]["since"] == since, "the deadline does not begin anew"
    assert served(lab) == served(lab, "other") == "tumours-v1"
    let_it_serve(lab, "tumours-v2")
    assert champion(lab) == served(lab) == served(lab, "other") == "tumours-v2"


def test_a_verdict_that_came_while_status_was_lost_counts(lab: Simulation) -> None:
    half_way(lab)
    lab.server.wipe_status(("Model",))
    lab.restart()
    say(lab, "RolledBack")
    assert rejected(lab, "tumours-v2") == "RolledBack"
    assert champion(lab) == "tumours-v1"


def test_what_was_rejected_stays_so_when_all_status_is_lost(lab: Simulation) -> None:
    serving(lab, "tumours-v2", BROKEN)
    second_version(lab)
    let_it_serve(lab, "tumours-v2")
    lose_status(lab)
    assert (champion(lab), proving(lab), rejected(lab, "tumours-v2")) == ("tumours-v1", "", "Failed")
    assert lab.status("Model", "tumours")["rejectedByRollout"] == 1
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("False", "Failed")
    assert asked(lab) == {"tumours-v1"}


def test_what_was_promoted_stays_so_when_all_status_is_lost(lab: Simulation) -> None:
    second_version(lab)
    lose_status(lab)
    assert (champion(lab), proving(lab)) == ("tumours-v2", "")
    assert lab.condition("ModelVersion", "tumours-v2", "RolledOut") == ("True", "Promoted")
