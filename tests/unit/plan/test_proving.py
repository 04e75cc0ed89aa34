"""A Model whose candidates one service proves first: what is decided when, and what is said meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.plan.common import objects, proving
from mainspring.plan.common.plan import Plan
from mainspring.plan.inferenceservice import target
from mainspring.plan.model import plan
from mainspring.plan.model.observed import Observed
from mainspring.plan.modelversion import observed as version_observed
from mainspring.plan.modelversion import plan as version_plan
from tests import builders, plans

NOW = builders.NOW
PROVEN = {"promotion": {"provenBy": "first"}}
CHAMPION = {
    "champion": "tumours-v1",
    "promotions": 1,
    "history": [
        {
            "version": "tumours-v1",
            "to": "Champion",
            "reason": "GatesPassed",
            "actor": "mainspring",
            "time": builders.at(-9),
        }
    ],
}
SENT = {"version": "tumours-v2", "service": "first", "since": builders.at(0)}
SENT_RECORD = proving.Record("first", builders.at(0)).to_json()


def entry(outcome: str, minutes: float, version: str = "tumours-v2", reason: str = "") -> dict[str, Any]:
    return {
        "version": version,
        "revision": "abc",
        "outcome": outcome,
        "reason": reason,
        "time": builders.at(minutes),
    }


def service(*rollouts: dict[str, Any], stable: str = "tumours-v1", told: Any = None, **spec: Any) -> dict[str, Any]:
    status = {"rollouts": list(rollouts), **({"stableVersion": stable} if stable else {}), **(told or {})}
    return builders.stored(builders.service("first", **spec), status)


def old() -> dict[str, Any]:
    return builders.model_version(1, passed=True, promoted=builders.at(-9))


def new(number: int = 2, **more: Any) -> dict[str, Any]:
    return builders.model_version(number, **{"passed": True, **more})


def observe(
    *versions: dict[str, Any],
    prover: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
) -> Observed:
    status = {**CHAMPION, "conditions": [builders.condition("Ready", "True", "Champion")], **(told or {})}
    obj = builders.stored(builders.model(**(spec or PROVEN)), {k: v for k, v in status.items() if v is not None})
    return Observed(
        object=obj,
        spec=ModelSpec.model_validate(objects.spec(obj)),
        settings=builders.SETTINGS,
        versions=versions or (old(), new()),
        prover=prover,
    )


def sent(*versions: dict[str, Any], prover: dict[str, Any] | None = None, **more: Any) -> Observed:
    """While tumours-v2 is being proved."""
    told = {"proving": SENT, **more.pop("told", {})}
    every = versions or (old(), new(proving=SENT_RECORD))
    return observe(*every, prover=prover, told=told, **more)


def make(observed: Observed, minutes: float = 0) -> Plan:
    return plan.make_plan(observed, NOW + timedelta(minutes=minutes))


def fact(made: Plan, name: str) -> Any:
    assert made.status is not None
    return made.status.get(name)


# ---- A candidate is sent


def test_a_candidate_that_passed_is_sent_to_the_service_and_the_champion_stays() -> None:
    made = make(observe(prover=service()))
    assert fact(made, "champion") == "tumours-v1"
    assert fact(made, "proving") == SENT
    assert made.status_first, "the service follows it only once it is written"
    assert plans.notes(made) == {"tumours-v2": {"proving": SENT_RECORD}}
    assert plans.verdict(made) == ("Ready", "Proving")
    assert "tumours-v2 is being proved by InferenceService first, since" in plans.message(made)
    assert made.requeue_after == 24 * 3600


@pytest.mark.parametrize("version", [{"passed": False}, {"passed": None}, {"verified": False}, {"rejected": "Failed"}])
def test_only_what_could_be_promoted_is_sent(version: dict[str, Any]) -> None:
    made = make(observe(old(), new(**version), prover=service()))
    assert fact(made, "proving") is None
    assert fact(made, "champion") == "tumours-v1"


def test_the_newest_is_sent_and_older_ones_are_passed_over() -> None:
    made = make(observe(old(), new(), new(3), prover=service()))
    assert fact(made, "proving")["version"] == "tumours-v3"
    assert set(plans.notes(made)) == {"tumours-v3"}


def test_a_newer_candidate_waits_for_the_verdict() -> None:
    made = make(sent(old(), new(proving=SENT_RECORD), new(3), prover=service()))
    assert fact(made, "proving") == SENT
    assert fact(made, "candidate") == "tumours-v3"
    assert "tumours-v3 waits for the verdict" in plans.message(made)


def test_the_first_champion_is_proved_as_well() -> None:
    told = {"champion": None, "history": None, "promotions": None}
    made = make(observe(new(1), prover=service(stable=""), told=told))
    assert fact(made, "proving")["version"] == "tumours-v1"
    assert fact(made, "champion") is None
    assert plans.verdict(made) == ("Ready", "Proving")


def test_a_model_without_versions_only_waits() -> None:
    told = {"champion": None, "history": None, "promotions": None}
    obj = observe(prover=service(), told=told)
    made = make(Observed(**{**obj.__dict__, "versions": ()}))
    assert plans.verdict(made) == ("Ready", "NoVersions")
    assert fact(made, "proving") is None


# ---- The service decides


def test_what_the_service_promoted_becomes_champion() -> None:
    made = make(sent(prover=service(entry("Promoted", 3))), minutes=4)
    assert fact(made, "champion") == "tumours-v2"
    assert fact(made, "proving") is None
    assert fact(made, "history")[-1]["reason"] == "RolledOut"
    assert fact(made, "lastProvingSeconds") == 240
    assert made.status_first
    noted = plans.notes(made)["tumours-v2"]
    assert noted["promoted-at"] == builders.at(4)
    assert '"outcome": "Promoted"' in noted["proving"]


@pytest.mark.parametrize(
    ("rollouts", "stable", "moves"),
    [
        ((entry("Promoted", 0),), "tumours-v1", True),
        ((entry("Promoted", -1),), "tumours-v1", False),
        ((entry("Promoted", 3, version="tumours-v1"),), "tumours-v1", False),
        ((entry("Superseded", 3),), "tumours-v1", False),
        ((entry("Superseded", 3), entry("Promoted", 4)), "tumours-v1", True),
        ((), "tumours-v2", True),
        ((entry("RolledBack", -5),), "tumours-v2", True),
        ((), "tumours-v1", False),
    ],
)
def test_the_champion_moves_only_by_a_verdict_since_the_version_was_sent(
    rollouts: tuple[dict[str, Any], ...], stable: str, moves: bool
) -> None:
    made = make(sent(prover=service(*rollouts, stable=stable)), minutes=5)
    assert fact(made, "champion") == ("tumours-v2" if moves else "tumours-v1")
    assert (fact(made, "proving") is None) == moves


@pytest.mark.parametrize("outcome", ["RolledBack", "Failed", "Aborted"])
def test_what_the_service_did_not_promote_is_rejected_with_its_words(outcome: str) -> None:
    made = make(sent(prover=service(entry(outcome, 3, reason="ErrorRate rose by 0.03"))), minutes=4)
    assert fact(made, "champion") == "tumours-v1"
    assert fact(made, "proving") is None
    last = fact(made, "history")[-1]
    assert (last["to"], last["version"], last["from"], last["reason"]) == (
        "Rejected",
        "tumours-v2",
        "tumours-v1",
        outcome,
    )
    assert last["message"] == "InferenceService first: ErrorRate rose by 0.03"
    assert made.status_first
    assert plans.notes(made)["tumours-v2"]["rejected"] == outcome
    assert [(e.reason, e.type) for e in made.events] == [("CandidateRejected", "Warning")]
    assert fact(made, "rejectedByRollout") == 1
    assert fact(made, "lastProvingSeconds") == 240
    assert fact(made, "promotions") == 1, "a rejection is no promotion"


def test_the_whole_message_of_a_failure_is_told_while_the_service_knows_it() -> None:
    failure = {"version": "tumours-v2", "reason": "ModelNotLoadable", "message": "unknown type", "time": builders.at(3)}
    prover = service(entry("Failed", 3, reason="ModelNotLoadable"), told={"lastFailure": failure})
    assert fact(make(sent(prover=prover)), "history")[-1]["message"] == (
        "InferenceService first: ModelNotLoadable: unknown type"
    )


@pytest.mark.parametrize("outcome", ["RolledBack", "Failed", "Aborted", "Superseded"])
def test_a_verdict_of_an_earlier_try_is_none(outcome: str) -> None:
    made = make(sent(prover=service(entry(outcome, -1))), minutes=5)
    assert fact(made, "proving") == SENT
    assert made.requeue_after == 24 * 3600 - 300


def test_without_a_verdict_the_deadline_rejects() -> None:
    late = 24 * 60
    assert fact(make(sent(prover=service()), minutes=late - 1), "proving") == SENT
    made = make(sent(prover=service()), minutes=late)
    assert fact(made, "history")[-1]["reason"] == "CandidateDeadlineExceeded"
    assert plans.notes(made)["tumours-v2"]["rejected"] == "CandidateDeadlineExceeded"
    assert fact(made, "rejectedByRollout") == 1


def test_the_deadline_can_be_set() -> None:
    spec = {"promotion": {"provenBy": "first", "candidateDeadline": "10m"}}
    assert make(sent(prover=service(), spec=spec), minutes=4).requeue_after == 360
    assert fact(make(sent(prover=service(), spec=spec), minutes=10), "proving") is None


def test_what_was_promoted_waits_for_gates_that_changed_meanwhile_and_no_deadline_rejects_it() -> None:
    spec = {**PROVEN, "gates": [{"name": "good", "metric": "roc_auc", "minimum": 0.9}]}
    made = make(sent(prover=service(stable="tumours-v2"), spec=spec), minutes=48 * 60)
    assert fact(made, "champion") == "tumours-v1"
    assert fact(made, "proving") == SENT
    assert "it has to pass the gates as they are now" in plans.message(made)
    assert made.requeue_after is None


# ---- The service cannot prove


@pytest.mark.parametrize(
    ("prover", "state", "reason", "says"),
    [
        (None, "Reconciling", "ProvingServiceNotFound", "create it, or correct the name"),
        (service(model={"version": "tumours-v1"}), "Stalled", "ProvingServiceDoesNotFollow", "stays on tumours-v1"),
        (service(model={"name": "lungs"}), "Stalled", "ProvingServiceDoesNotFollow", "follows Model lungs"),
        (
            service(model={"name": "tumours", "alias": "x"}),
            "Stalled",
            "ProvingServiceDoesNotFollow",
            "follows Model tumours by alias x",
        ),
        (service(stop=True), "Ready", "ProvingServiceStopped", "wait until its spec.stop is false"),
        (service(replicas=0), "Ready", "ProvingServiceStopped", "its spec.replicas is not 0"),
    ],
)
@pytest.mark.parametrize("before", [None, SENT])
def test_a_service_that_cannot_prove_is_named_and_nothing_is_rejected(
    prover: Any, state: str, reason: str, says: str, before: Any
) -> None:
    versions = (old(), new(proving=SENT_RECORD if before else ""))
    for minutes in (1, 48 * 60):
        made = make(observe(*versions, prover=prover, told={"proving": before}), minutes=minutes)
        assert plans.verdict(made) == (state, reason)
        assert says in plans.message(made)
        assert fact(made, "proving") is None, "the deadline does not run"
        assert fact(made, "champion") == "tumours-v1"
        assert "rejected" not in plans.notes(made).get("tumours-v2", {})


def test_a_service_that_is_being_deleted_is_as_good_as_gone() -> None:
    prover = service()
    prover["metadata"]["deletionTimestamp"] = builders.at(1)
    assert plans.verdict(make(sent(prover=prover))) == ("Reconciling", "ProvingServiceNotFound")


def test_a_service_that_follows_by_the_alias_champion_can_prove() -> None:
    made = make(observe(prover=service(model={"name": "tumours", "alias": "champion"})))
    assert fact(made, "proving") == SENT


def test_a_stopped_service_matters_only_when_somebody_waits() -> None:
    assert plans.verdict(make(observe(old(), prover=service(stop=True)))) == ("Ready", "Champion")


def test_when_the_service_is_back_the_newest_is_sent_and_its_time_begins_anew() -> None:
    made = make(observe(old(), new(proving=SENT_RECORD), prover=service()), minutes=90)
    assert fact(made, "proving") == {**SENT, "since": builders.at(90)}
    assert builders.at(90) in plans.notes(made)["tumours-v2"]["proving"]


# ---- The Model changes in the middle


def test_without_proven_by_the_gates_decide_again() -> None:
    made = make(sent(prover=None, spec={"promotion": {}}))
    assert fact(made, "champion") == "tumours-v2"
    assert fact(made, "history")[-1]["reason"] == "GatesPassed"
    assert fact(made, "proving") is None


def test_another_service_begins_anew() -> None:
    prover = builders.stored(builders.service("second"), {"rollouts": [entry("RolledBack", 3)]})
    made = make(sent(prover=prover, spec={"promotion": {"provenBy": "second"}}), minutes=5)
    assert fact(made, "proving") == {**SENT, "service": "second", "since": builders.at(5)}


def test_manual_mode_takes_it_back() -> None:
    made = make(sent(prover=service(stable="tumours-v2"), spec={"promotion": {"provenBy": "first", "mode": "Manual"}}))
    assert fact(made, "proving") is None
    assert fact(made, "champion") == "tumours-v1"
    assert "rejected" not in plans.notes(made).get("tumours-v2", {})


@pytest.mark.parametrize("mode", ["Automatic", "Manual"])
def test_a_pin_on_the_candidate_makes_it_champion_at_once(mode: str) -> None:
    spec = {"promotion": {"provenBy": "first", "mode": mode}, "aliases": {"champion": "tumours-v2"}}
    made = make(sent(prover=service(), spec=spec))
    assert fact(made, "champion") == "tumours-v2"
    assert fact(made, "proving") is None
    assert fact(made, "history")[-1]["reason"] == "Pinned"


def test_a_pin_on_the_champion_takes_the_candidate_back_and_rejects_what_is_newer() -> None:
    spec = {**PROVEN, "aliases": {"champion": "tumours-v1"}}
    made = make(sent(old(), new(proving=SENT_RECORD), new(3), prover=service(), spec=spec))
    assert fact(made, "proving") is None
    last = fact(made, "history")[-1]
    assert (last["to"], last["version"], last["reason"], last["actor"]) == (
        "Rejected",
        "tumours-v2",
        "RolledBackByPin",
        "spec.aliases",
    )
    assert {name: note["rejected"] for name, note in plans.notes(made).items()} == {
        "tumours-v2": "RolledBackByPin",
        "tumours-v3": "RolledBackByPin",
    }
    assert fact(made, "rejectedByRollout") is None, "nobody rolled it back"


def test_a_pin_on_the_champion_in_manual_mode_rejects_nobody() -> None:
    spec = {"promotion": {"provenBy": "first", "mode": "Manual"}, "aliases": {"champion": "tumours-v1"}}
    made = make(sent(prover=service(), spec=spec))
    assert fact(made, "proving") is None
    assert plans.notes(made) == {}


def test_a_pin_that_names_nothing_decides_nothing() -> None:
    spec = {**PROVEN, "aliases": {"champion": "tumours-v9"}}
    made = make(sent(prover=service(entry("RolledBack", 1)), spec=spec), minutes=48 * 60)
    assert plans.verdict(made) == ("Stalled", "PinnedVersionNotFound")
    assert fact(made, "proving") == SENT
    assert plans.notes(made) == {}


# ---- The version changes in the middle


def test_a_version_that_was_deleted_makes_room() -> None:
    made = make(sent(old(), prover=service()))
    assert fact(made, "proving") is None
    assert plans.verdict(made) == ("Ready", "Champion")


def test_a_version_whose_bytes_turn_out_to_be_others_is_taken_back() -> None:
    broken = new(proving=SENT_RECORD, status={"conditions": [builders.condition("ArtifactVerified", "False", "Other")]})
    made = make(sent(old(), broken, prover=service(stable="tumours-v2")))
    assert fact(made, "proving") is None
    assert fact(made, "champion") == "tumours-v1"


def test_a_version_that_fails_the_gates_of_now_is_taken_back() -> None:
    made = make(sent(old(), new(passed=False, proving=SENT_RECORD), prover=service(stable="tumours-v2")))
    assert fact(made, "proving") is None
    assert fact(made, "champion") == "tumours-v1"


def test_the_version_that_is_being_proved_is_kept() -> None:
    versions = (old(), new(proving=SENT_RECORD), new(3, passed=False), new(4))
    made = make(sent(*versions, prover=service(), spec={**PROVEN, "retain": 1}))
    assert plans.deleted(made) == ["ModelVersion tumours-v3"]


# ---- After a crash, after a loss


def test_a_note_on_the_version_that_a_crash_left_out_is_made_up_for() -> None:
    made = make(sent(old(), new(), prover=service()))
    assert plans.notes(made) == {"tumours-v2": {"proving": SENT_RECORD}}


def rejected_already() -> dict[str, Any]:
    last = {
        "version": "tumours-v2",
        "from": "tumours-v1",
        "to": "Rejected",
        "reason": "RolledBack",
        "actor": "mainspring",
        "message": "too slow",
        "time": builders.at(3),
    }
    return {"history": [*CHAMPION["history"], last]}  # type: ignore[misc]


def test_a_rejection_that_a_crash_left_out_is_made_up_for_before_anything_else_is_decided() -> None:
    versions = (old(), new(proving=SENT_RECORD))
    made = make(observe(*versions, prover=service(), told=rejected_already()), minutes=4)
    assert made.status is None, "else the same version would be sent once more"
    noted = plans.notes(made)["tumours-v2"]
    assert noted["rejected"] == "RolledBack"
    assert proving.Record("first", builders.at(0), "RolledBack", "too slow").to_json() == noted["proving"]


def test_a_lost_status_goes_on_with_what_was_being_proved() -> None:
    observed = observe(old(), new(proving=SENT_RECORD), new(3), prover=service())
    lost = Observed(**{**observed.__dict__, "object": builders.stored(builders.model(**PROVEN))})
    made = make(lost, minutes=5)
    assert fact(made, "champion") == "tumours-v1"
    assert fact(made, "proving") == SENT
    verdict = Observed(**{**lost.__dict__, "prover": service(entry("RolledBack", 2))})
    assert fact(make(verdict, minutes=5), "history")[-1]["version"] == "tumours-v2"


def test_a_lost_status_does_not_bring_back_what_was_rejected() -> None:
    out = proving.Record("first", builders.at(0), "RolledBack", "too slow").to_json()
    observed = observe(old(), new(proving=out, rejected="RolledBack"), prover=service())
    made = make(Observed(**{**observed.__dict__, "object": builders.stored(builders.model(**PROVEN))}))
    assert fact(made, "proving") is None
    assert fact(made, "champion") == "tumours-v1"
    assert fact(made, "rejectedByRollout") == 1


def test_a_damaged_note_is_as_none() -> None:
    assert proving.record(new(proving="damaged")) is None
    assert proving.record(new(proving='{"more": 1}')) is None


# ---- Who follows what


@pytest.mark.parametrize(
    ("name", "reference", "wanted"),
    [
        ("first", {"name": "tumours"}, "tumours-v2"),
        ("first", {"name": "tumours", "alias": "champion"}, "tumours-v2"),
        ("second", {"name": "tumours"}, "tumours-v1"),
        ("first", {"name": "tumours", "alias": "x"}, "tumours-v5"),
        ("first", {"version": "tumours-v4"}, "tumours-v4"),
    ],
)
def test_only_the_proving_service_follows_the_candidate(name: str, reference: Any, wanted: str) -> None:
    status = {"champion": "tumours-v1", "aliases": {"x": "tumours-v5"}, "proving": SENT}
    spec = InferenceServiceSpec.model_validate({"model": reference})
    assert target.wanted_version(name, spec, builders.stored(builders.model(), status)) == wanted


# ---- What the version says


def said(version: dict[str, Any], told: dict[str, Any] | None = None) -> dict[str, Any] | None:
    model = builders.stored(builders.model(), told)
    observed = version_observed.Observed(
        object=version,
        spec=ModelVersionSpec.model_validate(objects.spec(version)),
        settings=builders.SETTINGS,
        model=model,
        model_spec=ModelSpec.model_validate(objects.spec(model)),
    )
    status = version_plan.make_plan(observed, NOW).status
    assert status is not None
    return next((c for c in status["conditions"] if c["type"] == "RolledOut"), None)


@pytest.mark.parametrize(
    ("record", "told", "rejected", "status", "reason"),
    [
        (("", ""), {"proving": SENT}, "", "Unknown", "Proving"),
        (("Promoted", "it serves"), {}, "", "True", "Promoted"),
        (("RolledBack", "too slow"), {}, "RolledBack", "False", "RolledBack"),
        (("", ""), {}, "", "False", "NotProven"),
        (("", ""), {"proving": {**SENT, "version": "tumours-v3"}}, "RolledBackByPin", "False", "RolledBackByPin"),
    ],
)
def test_a_version_says_how_its_rollout_went(
    record: tuple[str, str], told: Any, rejected: str, status: str, reason: str
) -> None:
    noted = proving.Record("first", builders.at(0), *record).to_json()
    found = said(new(proving=noted, rejected=rejected), told)
    assert found is not None
    assert (found["status"], found["reason"]) == (status, reason)
    assert record[1] in found["message"]


def test_a_version_that_was_never_sent_anywhere_says_nothing_of_it() -> None:
    assert said(new()) is None


def test_a_rejected_version_says_why_in_the_words_of_the_service() -> None:
    noted = proving.Record("first", builders.at(0), "RolledBack", "InferenceService first: too slow").to_json()
    version = new(proving=noted, rejected="RolledBack")
    observed = version_observed.Observed(
        object=version,
        spec=ModelVersionSpec.model_validate(objects.spec(version)),
        settings=builders.SETTINGS,
        model=builders.stored(builders.model()),
        model_spec=ModelSpec(),
    )
    assert "RolledBack (InferenceService first: too slow); pin it" in plans.message(
        version_plan.make_plan(observed, NOW)
    )
