"""When a run starts, when none does, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.api.v1alpha1.retraining import Need, RetrainTrigger
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor import builders as made
from mainspring.plan.modelmonitor import history, retraining
from mainspring.plan.modelmonitor.observed import Observed
from mainspring.plan.modelmonitor.retraining import Decision
from tests import builders
from tests.builders import NOW

MONITOR = builders.stored(builders.monitor())
FIRST, SECOND = builders.dataset_version("one"), builders.dataset_version("two")
NEED = Need(
    reason=RetrainTrigger.PERFORMANCE_DEGRADED,
    message="accuracy fell",
    since=builders.at(-30),
    champion="tumours-v1",
    refreshed_at=builders.at(-1),
)


def with_new_rows(version: dict[str, Any], rows: int) -> dict[str, Any]:
    new = {"since": objects.name(FIRST), "rows": rows, "by": "Count", "total": rows}
    return {**version, "spec": {**version["spec"], "newRows": new}}


def champion() -> dict[str, Any]:
    found = builders.model_version(1, passed=True, promoted=builders.at(-600))
    source = {"trainingRun": "forest", "datasetVersion": objects.name(FIRST), "trainingRunUid": "uid-of-forest"}
    return {**found, "spec": {**found["spec"], "source": source}}


def dataset(current: Object = SECOND, checked: float = 0, **status: Any) -> dict[str, Any]:
    told = {"current": objects.name(current), "lastChecked": builders.at(checked), **status}
    return builders.stored(builders.dataset(), told)


def observe(rows: int = 500, spec: dict[str, Any] | None = None, **changes: Any) -> Observed:
    """All is there for a run."""
    asked = builders.monitor(**(spec or {}))
    usual = Observed(
        object=MONITOR,
        spec=ModelMonitorSpec.model_validate(asked["spec"]),
        settings=builders.SETTINGS,
        version=champion(),
        model=builders.stored(builders.model(), {"champion": "tumours-v1"}),
        versions=(champion(),),
        dataset=dataset(),
        dataset_versions=(FIRST, with_new_rows(SECOND, rows)),
    )
    return replace(usual, **changes)


def run(
    finished: str = "", ended: float = 0, created: float = -20, version: str = "", need: str = NEED.since
) -> dict[str, Any]:
    asked = observe().spec.retrain
    assert asked is not None
    found = made.build_run(MONITOR, asked, NEED.model_copy(update={"since": need}), SECOND, 500, 1)
    notes = dict(found["metadata"]["annotations"])
    status = {"completionTime": builders.at(ended)} if finished else {}
    if version:
        status["modelVersion"] = version
    stored = builders.stored(found, status, created=builders.at(created))
    stored["metadata"]["annotations"] = notes | ({"mainspring.dev/finished": finished} if finished else {})
    return stored


def decide(observed: Observed, need: Need | None = NEED, served: str = "tumours-v1", well: bool = False) -> Decision:
    fine = frozenset({RetrainTrigger.PERFORMANCE_DEGRADED} if well else ())
    return retraining.decide(observed, need, served, fine, NOW)


def test_enough_new_rows_start_a_run() -> None:
    decision = decide(observe())
    assert (decision.reason, decision.triggered) == ("Training", True)
    assert decision.start is not None
    assert (objects.name(decision.start.dataset_version), decision.start.new_rows) == (objects.name(SECOND), 500)
    assert "accuracy fell; 500 new labelled rows" in decision.message


def test_the_same_decision_makes_the_same_run() -> None:
    asked = observe().spec.retrain
    assert asked is not None
    first, second = (made.build_run(MONITOR, asked, NEED, SECOND, 500, 1) for _ in range(2))
    assert first == second
    assert first["metadata"]["name"] != made.build_run(MONITOR, asked, NEED, FIRST, 500, 1)["metadata"]["name"]
    assert first["spec"]["dataset"] == {"name": "tumours", "version": objects.name(SECOND)}
    assert first["spec"]["mustImprove"] is True
    assert len(first["metadata"]["name"]) <= 40


@pytest.mark.parametrize(
    ("observed", "reason", "words"),
    [
        (observe(rows=99), "WaitingForLabels", "99 new labelled rows of 100 (spec.retrain.minimumNewRows)"),
        (observe(dataset=dataset(FIRST)), "WaitingForLabels", "0 new labelled rows"),
        (observe(dataset=None), "DatasetNotFound", "spec.retrain.template.spec.dataset.name"),
        (
            observe(
                dataset=dataset(conditions=[builders.condition("Stalled", "True", "CheckFailed", "3 rows break it")])
            ),
            "DatasetBroken",
            "3 rows break it",
        ),
        (observe(dataset_versions=()), "WaitingForData", "has no valid version"),
        (observe(dataset=dataset(checked=-5)), "RefreshingData", "is looking for new data"),
        (observe(runs=(run(),)), "Training", "is under way"),
        (observe(runs=(run("Failed", ended=-1),)), "CoolingDown", builders.at(4)),
        (observe(runs=(run("Failed", ended=-6),)), "WaitingForLabels", "was tried already"),
    ],
)
def test_what_stands_in_the_way_is_said(observed: Observed, reason: str, words: str) -> None:
    decision = decide(observed)
    assert (decision.reason, decision.start, decision.need) == (reason, None, NEED)
    assert words in decision.message


def test_new_data_is_asked_for_again_after_a_while() -> None:
    need = NEED.model_copy(update={"refreshed_at": builders.at(-2)})
    decision = decide(observe(), need)
    assert (decision.reason, decision.refresh) == ("RefreshingData", True)
    assert decision.need is not None
    assert decision.need.refreshed_at == builders.at(0)


def test_a_dataset_with_a_schedule_of_its_own_is_left_alone() -> None:
    asked = {**builders.monitor()["spec"]["retrain"], "refreshDataset": False}
    decision = decide(observe(spec={"retrain": asked}), NEED.model_copy(update={"refreshed_at": None}))
    assert (decision.reason, decision.refresh) == ("Training", False)


def test_the_budget_counts_all_runs_of_the_time() -> None:
    asked = {**builders.monitor()["spec"]["retrain"], "budget": {"runs": 2, "per": "1h"}}
    older = run("Failed", ended=-50, created=-55, need="before")
    newer = run("Failed", ended=-20, created=-25, need="also before")
    decision = decide(observe(spec={"retrain": asked}, runs=(older, newer)))
    assert decision.reason == "BudgetExhausted"
    assert builders.at(5) in decision.message
    assert decide(observe(spec={"retrain": asked}, runs=(newer,))).start is not None


def test_after_so_many_runs_for_one_need_a_person_has_to_look() -> None:
    asked = {**builders.monitor()["spec"]["retrain"], "maxAttempts": 2}
    tried = [run("Failed", ended=-60 - n, created=-70 - n) for n in range(2)]
    decision = decide(observe(spec={"retrain": asked}, runs=tuple(tried)))
    assert (decision.reason, decision.start, decision.need, decision.triggered) == ("GaveUp", None, NEED, False)
    assert "spec.retrain.maxAttempts" in decision.message
    assert objects.name(tried[-1]) in decision.message
    for_another = run("Failed", ended=-60, created=-70, need="before")
    assert decide(observe(spec={"retrain": asked}, runs=(for_another, tried[0]))).reason == "WaitingForLabels"


def test_a_version_that_a_service_proves_first_is_told_and_no_person_is_called() -> None:
    going = {"version": "tumours-v2", "service": "first", "since": builders.at(-1)}
    observed = observe(
        runs=(run("Succeeded", ended=-10, version="tumours-v2"),),
        versions=(champion(), builders.model_version(2, passed=True)),
        model=builders.stored(builders.model(), {"champion": "tumours-v1", "proving": going}),
    )
    decision = decide(observed)
    assert (decision.reason, decision.need, decision.triggered) == ("Proving", NEED, True)
    assert "InferenceService first" in decision.message


@pytest.mark.parametrize(
    ("version", "champion_name", "reason"),
    [
        (builders.model_version(2), "tumours-v1", "Judging"),
        (builders.model_version(2, passed=True), "tumours-v1", "AwaitingPromotion"),
        (builders.model_version(2, passed=True, promoted=builders.at(-1)), "tumours-v2", "Promoted"),
        (builders.model_version(2, passed=False), "tumours-v1", "WaitingForLabels"),
        (builders.model_version(2, passed=True, rejected="RolledBackByPin"), "tumours-v1", "WaitingForLabels"),
    ],
)
def test_a_version_is_followed_until_it_is_served_or_out(version: Object, champion_name: str, reason: str) -> None:
    observed = observe(
        runs=(run("Succeeded", ended=-10, version="tumours-v2"),),
        versions=(champion(), version),
        model=builders.stored(builders.model(), {"champion": champion_name}),
    )
    decision = decide(observed)
    assert (decision.reason, decision.start) == (reason, None)
    assert decision.need == NEED


def test_a_need_ends_with_another_version_or_when_all_is_well_again() -> None:
    assert decide(observe(), served="tumours-v2").need is None
    assert decide(observe(), served="tumours-v2").reason == "Replaced"
    assert (decide(observe(), well=True).need, decide(observe(), well=True).reason) == (None, "Recovered")


def test_a_run_under_way_is_not_forgotten_when_all_is_well_again() -> None:
    assert decide(observe(runs=(run(),)), well=True).reason == "Training"


def test_without_need_or_policy_nothing_is_done() -> None:
    assert decide(observe(), None).reason == "NotNeeded"
    assert decide(observe(spec={"retrain": None})).reason == "NotConfigured"


def scheduled(**more: Any) -> dict[str, Any]:
    """At the full hour; NOW is some time after one."""
    asked = builders.monitor()["spec"]["retrain"]
    return {"retrain": {**asked, "triggers": ["Schedule"], "schedule": "0 * * * *", **more}}


@pytest.mark.parametrize(
    ("answered", "now", "tick"),
    [
        (None, "2026-05-04T10:30:00Z", "2026-05-04T10:00:00Z"),
        ("2026-05-04T09:00:00Z", "2026-05-04T10:00:01Z", "2026-05-04T10:00:00Z"),
        ("2026-05-04T07:00:00Z", "2026-05-04T10:30:00Z", "2026-05-04T10:00:00Z"),  # missed ones count once
        ("2026-05-04T10:00:00Z", "2026-05-04T10:59:59Z", None),
    ],
)
def test_a_tick_of_the_schedule_is_answered_once(answered: str | None, now: str, tick: str | None) -> None:
    told = builders.stored(
        builders.monitor(), {"lastScheduleTime": answered} if answered else {}, created="2026-05-04T05:00:00Z"
    )
    found = retraining.due(observe(spec=scheduled(), object=told), objects.parse_time(now))
    assert found == (objects.parse_time(tick) if tick else None)


def test_ticks_before_the_monitor_was_made_do_not_count() -> None:
    told = builders.stored(builders.monitor(), {}, created="2026-05-04T10:10:00Z")
    assert retraining.due(observe(spec=scheduled(), object=told), objects.parse_time("2026-05-04T10:30:00Z")) is None
    assert retraining.due(observe(object=told), objects.parse_time("2026-05-04T12:30:00Z")) is None


def test_the_schedule_is_in_its_time_zone() -> None:
    told = builders.stored(builders.monitor(), {}, created="2026-05-01T00:00:00Z")
    observed = observe(spec=scheduled(schedule="0 3 * * *", timeZone="Europe/Berlin"), object=told)
    found = retraining.due(observed, objects.parse_time("2026-05-04T10:30:00Z"))
    assert found == objects.parse_time("2026-05-04T01:00:00Z")


def test_a_schedule_asks_for_one_run_whatever_comes_of_it() -> None:
    need = NEED.model_copy(update={"reason": RetrainTrigger.SCHEDULE})
    first = decide(observe(spec=scheduled()), need)
    assert (first.reason, first.start is not None) == ("Training", True)
    done = decide(observe(spec=scheduled(), runs=(run("Failed", ended=-1),)), need)
    assert (done.reason, done.need) == ("ScheduleAnswered", None)


def test_a_scheduled_run_need_not_improve() -> None:
    asked = observe(spec=scheduled()).spec.retrain
    assert asked is not None
    need = NEED.model_copy(update={"reason": RetrainTrigger.SCHEDULE})
    assert made.build_run(MONITOR, asked, need, SECOND, 500, 1)["spec"]["mustImprove"] is False


@pytest.mark.parametrize("on", [["PerformanceDegraded"], ["DriftDetected"], ["DriftDetected", "PerformanceDegraded"]])
@pytest.mark.parametrize("evidence", ["PerformanceDegraded", "DriftDetected"])
def test_only_what_is_asked_for_opens_a_need(on: list[str], evidence: str) -> None:
    observed = observe(spec={"retrain": {**builders.monitor()["spec"]["retrain"], "triggers": on}})
    need = retraining.open_need(observed, None, {RetrainTrigger(evidence): "why"}, "tumours-v1", NOW)
    assert (need is not None) == (evidence in on)
    if need is not None:
        assert (need.reason, need.message, need.since, need.champion) == (evidence, "why", builders.at(0), "tumours-v1")


def test_a_need_stays_as_it_was_opened() -> None:
    evidence = {RetrainTrigger.PERFORMANCE_DEGRADED: "another"}
    assert retraining.open_need(observe(), NEED, evidence, "tumours-v1", NOW + timedelta(hours=1)) == NEED


def numbered(name: str, number: int, reason: str = "PerformanceDegraded") -> dict[str, Any]:
    notes = {"mainspring.dev/retrain-reason": reason, "mainspring.dev/retrain-number": str(number)}
    return {"metadata": {"name": name, "annotations": notes}}


def test_runs_are_counted_once_and_for_ever() -> None:
    runs = [numbered("a", 1), numbered("b", 2), numbered("c", 1, "DriftDetected")]
    total = history.started(runs, {})
    assert total == {"PerformanceDegraded": 2, "DriftDetected": 1}
    assert history.started(runs, total) == total, "seeing them again adds nothing"
    assert history.started([], total) == total, "nor does their deletion take anything away"
    assert history.started([numbered("d", 3)], total) == {"PerformanceDegraded": 3, "DriftDetected": 1}
