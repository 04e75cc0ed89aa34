from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.plan.common import objects
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.model import plan
from mainspring.plan.model.observed import Observed
from tests import builders, plans

NOW = builders.NOW
GATED = builders.model(gates=[{"name": "not-worse", "metric": "roc_auc", "versusChampion": {}}])
MANUAL = {"promotion": {"mode": "Manual"}}


def observe(*versions: dict[str, Any], told: dict[str, Any] | None = None, **more: Any) -> Observed:
    made = more.pop("manifest", None) or builders.model(**more.pop("spec", {}))
    obj = builders.stored(made, told)
    spec = ModelSpec.model_validate(objects.spec(obj))
    return Observed(object=obj, spec=spec, settings=builders.SETTINGS, versions=versions, **more)


def make(observed: Observed, minutes: float = 0) -> Plan:
    return plan.make_plan(observed, NOW + timedelta(minutes=minutes))


def champion(made: Plan) -> str:
    return str((made.status or {}).get("champion", ""))


def version(number: int, **more: Any) -> dict[str, Any]:
    return builders.model_version(number, **more)


def run(name: str = "forest", **status: Any) -> dict[str, Any]:
    artifact = {
        "uri": "s3://artifacts/x",
        "digest": builders.digest(f"artifact of {name}"),
        "modelDigest": builders.digest(f"model of {name}"),
        "size": 2000,
        "format": "skops",
    }
    lineage = {"datasetVersion": "tumours-1", "image": "jobs:1", "seed": 7}
    facts = {
        "artifact": artifact,
        "lineage": lineage,
        "metrics": [builders.roc_auc(0.9)],
        "primary": "roc_auc 0.9 [0.8, 1]",
        "startTime": builders.at(0),
    }
    return builders.stored(builders.run(name), {**facts, **status})


# ---- Who becomes champion


@pytest.mark.parametrize(
    ("state", "promoted"),
    [
        ({"passed": True}, True),
        ({"passed": False}, False),
        ({}, False),
        ({"passed": True, "verified": False}, False),
        ({"passed": True, "rejected": "RolledBackByPin"}, False),
    ],
)
def test_only_a_verified_version_that_passed_and_was_not_rejected_is_promoted(
    state: dict[str, Any], promoted: bool
) -> None:
    assert (champion(make(observe(version(1, **state)))) == "tumours-v1") == promoted


def test_a_promotion_is_in_status_before_anything_follows_it() -> None:
    made = make(observe(version(1, passed=True)), minutes=5)
    assert made.status_first
    assert plans.notes(made) == {"tumours-v1": {"promoted-at": builders.at(5)}}
    assert [e.reason for e in made.events] == ["Promoted"]
    assert made.status is not None
    assert made.status["history"] == [
        {
            "version": "tumours-v1",
            "to": "Champion",
            "reason": "GatesPassed",
            "actor": "mainspring",
            "time": builders.at(5),
        }
    ]


def test_the_newest_version_is_the_candidate() -> None:
    made = make(observe(version(1, passed=True), version(2)))
    assert champion(made) == ""
    assert made.status is not None
    assert made.status["candidate"] == "tumours-v2"


def test_a_failed_version_makes_room_for_the_one_before_it() -> None:
    assert champion(make(observe(version(1, passed=True), version(2, passed=False)))) == "tumours-v1"


def test_a_version_that_cannot_be_judged_for_now_holds_up_nobody() -> None:
    stuck = version(2, status={"conditions": [builders.condition("Stalled", "True", "ImagePullBackOff")]})
    assert champion(make(observe(version(1, passed=True), stuck))) == "tumours-v1"
    made = make(observe(stuck))
    assert made.status is not None
    assert made.status["candidate"] == "tumours-v2"


def test_gates_that_changed_since_do_not_count() -> None:
    assert champion(make(observe(version(1, passed=True), manifest=GATED))) == ""


@pytest.mark.parametrize(("against", "promoted"), [("tumours-v1", True), ("tumours-v0", False), ("", False)])
def test_only_a_comparison_with_the_champion_of_now_counts(against: str, promoted: bool) -> None:
    old = version(1, passed=True, promoted=builders.at(-9))
    new = version(2, passed=True, champion=against, model=GATED)
    made = make(observe(old, new, told={"champion": "tumours-v1"}, manifest=GATED))
    assert (champion(made) == "tumours-v2") == promoted


def test_an_older_version_is_never_promoted_by_itself() -> None:
    observed = observe(version(1, passed=True), version(2, passed=True), told={"champion": "tumours-v2"})
    assert champion(make(observed)) == "tumours-v2"


def test_a_deleted_champion_is_said_and_nothing_older_takes_its_place() -> None:
    made = make(observe(version(1, passed=True), told={"champion": "tumours-v2", "lastNumber": 2}))
    assert plans.verdict(made) == ("Stalled", "ChampionNotFound")
    assert champion(made) == "tumours-v2"


def test_manual_mode_promotes_nobody() -> None:
    made = make(observe(version(1, passed=True), spec=MANUAL))
    assert champion(made) == ""
    assert "set spec.aliases.champion to tumours-v1" in plans.message(made)


# ---- Pins


def test_a_pin_moves_the_champion_and_rejects_what_is_newer() -> None:
    told = {"champion": "tumours-v2"}
    made = make(
        observe(
            version(1, passed=True), version(2, passed=True), told=told, spec={"aliases": {"champion": "tumours-v1"}}
        )
    )
    assert champion(made) == "tumours-v1"
    assert plans.notes(made)["tumours-v2"] == {"rejected": "RolledBackByPin"}
    assert made.status is not None
    assert made.status["history"][-1]["actor"] == "spec.aliases"


def test_a_pin_in_manual_mode_rejects_nobody() -> None:
    spec = {**MANUAL, "aliases": {"champion": "tumours-v1"}}
    made = make(observe(version(1, passed=True), version(2, passed=True), told={"champion": "tumours-v2"}, spec=spec))
    assert champion(made) == "tumours-v1"
    assert "tumours-v2" not in plans.notes(made)


@pytest.mark.parametrize(
    ("versions", "state", "reason"),
    [
        ((version(2),), "Stalled", "PinnedVersionNotFound"),
        ((version(1),), "Reconciling", "PinnedVersionNotVerified"),
        ((version(1, promoted=builders.at(-9)),), "Ready", "Champion"),
        ((version(1, passed=False),), "Ready", "Champion"),
    ],
)
def test_a_pin_needs_a_version_that_is_verified_or_was_champion(
    versions: tuple[dict[str, Any], ...], state: str, reason: str
) -> None:
    made = make(observe(*versions, spec={"aliases": {"champion": "tumours-v1"}}))
    assert plans.verdict(made) == (state, reason)


def test_a_pin_on_the_champion_changes_nothing() -> None:
    told = {"champion": "tumours-v1"}
    made = make(observe(version(1, passed=True), told=told, spec={"aliases": {"champion": "tumours-v1"}}))
    assert not made.status_first
    assert not made.events


def test_an_alias_of_nothing_is_said() -> None:
    made = make(
        observe(version(1, passed=True), told={"champion": "tumours-v1"}, spec={"aliases": {"x": "tumours-v9"}})
    )
    assert plans.verdict(made) == ("Stalled", "AliasNotFound")


# ---- After a crash, after a loss


def history(*moves: tuple[str, str, float]) -> list[dict[str, Any]]:
    return [
        {"version": v, "to": "Champion", "reason": reason, "actor": "mainspring", "time": builders.at(minutes)}
        for v, reason, minutes in moves
    ]


def test_an_annotation_that_a_crash_left_out_is_made_up_for() -> None:
    told = {"champion": "tumours-v1", "history": history(("tumours-v1", "GatesPassed", 3))}
    made = make(observe(version(1, passed=True), told=told), minutes=9)
    assert plans.notes(made) == {"tumours-v1": {"promoted-at": builders.at(3)}}


def test_rejections_that_a_crash_left_out_are_made_up_for() -> None:
    told = {"champion": "tumours-v1", "history": history(("tumours-v1", "Pinned", 3))}
    old, bad, later = version(1, passed=True), version(2, passed=True), version(3, created=builders.at(5))
    made = make(observe(old, bad, later, told=told, spec={"aliases": {"champion": "tumours-v1"}}), minutes=9)
    assert plans.notes(made)["tumours-v2"] == {"rejected": "RolledBackByPin"}
    assert "tumours-v3" not in plans.notes(made)


def test_a_lost_status_is_rebuilt_from_what_the_versions_remember() -> None:
    first, second = version(1, passed=True, promoted=builders.at(1)), version(2, passed=True, promoted=builders.at(2))
    made = make(observe(first, second))
    assert champion(made) == "tumours-v2"
    assert not made.status_first
    assert made.status is not None
    assert [h["version"] for h in made.status["history"]] == ["tumours-v1", "tumours-v2"]
    assert made.status["lastNumber"] == 2
    assert made.status["promotions"] == 2


def test_after_a_rollback_and_a_loss_the_one_promoted_last_is_champion() -> None:
    first, second = version(1, passed=True, promoted=builders.at(5)), version(2, passed=True, promoted=builders.at(2))
    assert champion(make(observe(first, {**second}, spec=MANUAL))) == "tumours-v1"


# ---- Registering


def test_a_run_gets_the_next_number() -> None:
    made = make(observe(version(3, passed=False), unregistered=(run("a"), run("b"))))
    assert [m["metadata"]["name"] for m in made.apply] == ["tumours-v4", "tumours-v5"]
    assert [e.reason for e in made.events] == ["Registered", "Registered"]


def test_a_number_is_never_given_again() -> None:
    made = make(observe(told={"lastNumber": 7}, unregistered=(run(),)))
    assert made.apply[0]["metadata"]["name"] == "tumours-v8"


def test_a_version_has_the_facts_of_its_run_and_data() -> None:
    data = builders.dataset_version(dataCut=builders.at(-60))
    made = make(observe(unregistered=(run(),), dataset_versions={"tumours-1": data}))
    spec = made.apply[0]["spec"]
    assert spec["source"]["trainingRun"] == "forest"
    assert spec["source"]["datasetUri"] == data["spec"]["uri"]
    assert spec["source"]["dataCut"] == builders.at(-60)
    assert spec["source"]["seed"] == 7
    assert spec["runtimeImage"] == "runtime:1"
    assert spec["primary"] == "roc_auc"


@pytest.mark.parametrize(("asked", "told"), [(True, True), (False, None)])
def test_a_version_remembers_that_its_run_must_improve(asked: bool, told: bool | None) -> None:
    asking = run()
    asking["spec"]["mustImprove"] = asked
    made = make(observe(unregistered=(asking,)))
    assert made.apply[0]["spec"]["source"].get("mustImprove") is told


def test_a_version_whose_run_must_improve_is_promoted_only_by_a_comparison() -> None:
    """Its gates without the additional one were judged: that decision is not about what is asked."""
    asking = {"source": {"trainingRun": "drifted", "mustImprove": True}}
    assert champion(make(observe(version(1, passed=True)))) == "tumours-v1"
    assert champion(make(observe(version(1, passed=True, **asking)))) == ""


def test_a_run_with_its_own_image_is_served_with_it() -> None:
    own = run()
    own = {**own, "spec": {**own["spec"], "image": "team/runtime@sha256:1"}}
    assert make(observe(unregistered=(own,))).apply[0]["spec"]["runtimeImage"] == "team/runtime@sha256:1"


def test_versions_belong_to_nobody() -> None:
    assert "ownerReferences" not in make(observe(unregistered=(run(),))).apply[0]["metadata"]


# ---- Retention


def made_by_us(number: int, **more: Any) -> dict[str, Any]:
    return version(number, passed=False, **more)


def test_retain_removes_the_oldest_that_nobody_uses() -> None:
    versions = [made_by_us(n) for n in range(1, 6)]
    made = make(observe(*versions, spec={"retain": 2}, served=frozenset({"tumours-v2"})))
    assert plans.deleted(made) == ["ModelVersion tumours-v1", "ModelVersion tumours-v3", "ModelVersion tumours-v4"]


def test_retain_keeps_champion_the_one_before_alias_and_candidate() -> None:
    moves = history(("tumours-v1", "GatesPassed", 1), ("tumours-v2", "GatesPassed", 2))
    versions = [version(1, passed=True), version(2, passed=True), made_by_us(3), made_by_us(4), version(5)]
    told = {"champion": "tumours-v2", "history": moves}
    made = make(observe(*versions, told=told, spec={"retain": 1, "aliases": {"x": "tumours-v3"}}))
    assert plans.deleted(made) == ["ModelVersion tumours-v4"]


def test_retain_keeps_the_one_before_the_champion_also_after_a_loss_of_status() -> None:
    versions = [version(n, passed=True, promoted=builders.at(n)) for n in (1, 2, 3)]
    assert plans.deleted(make(observe(*versions, spec={"retain": 1}))) == ["ModelVersion tumours-v1"]


def test_retain_leaves_imported_versions_alone() -> None:
    imported = version(1, source={})
    made = make(observe(imported, made_by_us(2), made_by_us(3), spec={"retain": 1}))
    assert plans.deleted(made) == ["ModelVersion tumours-v2"]


# ---- Telling


@pytest.mark.parametrize(
    ("versions", "reason"),
    [((), "NoVersions"), ((version(1),), "NoChampion"), ((version(1, passed=False),), "NoChampion")],
)
def test_without_a_champion_it_is_ready_and_says_why(versions: tuple[dict[str, Any], ...], reason: str) -> None:
    assert plans.verdict(make(observe(*versions))) == ("Ready", reason)


def test_a_settled_model_writes_nothing() -> None:
    promoted = version(1, passed=True, promoted=builders.at(0))
    told = make(observe(promoted)).status
    again = observe(promoted, told=dict(told or {}))
    assert plans.is_silent(make(again, minutes=60), again.object)


def test_history_is_bounded() -> None:
    told = {
        "champion": "tumours-v1",
        "history": history(*[("tumours-v1", "GatesPassed", n) for n in range(50)]),
        "promotions": 90,
    }
    made = make(observe(version(1, passed=True, promoted=builders.at(49)), version(2, passed=True), told=told))
    assert made.status is not None
    assert len(made.status["history"]) == 50
    assert made.status["history"][-1]["version"] == "tumours-v2"
    assert made.status["promotions"] == 91


def test_the_lead_time_runs_from_the_start_of_the_training() -> None:
    source = {"trainingRunUid": "x", "startedAt": builders.at(-90)}
    made = make(observe(version(1, passed=True, source=source)))
    assert made.status is not None
    assert made.status["lastLeadTimeSeconds"] == 5400


def test_a_deleted_model_is_left_alone() -> None:
    observed = observe(version(1, passed=True))
    gone = {**observed.object, "metadata": {**observed.object["metadata"], "deletionTimestamp": "now"}}
    assert make(replace(observed, object=gone)) == NOTHING
