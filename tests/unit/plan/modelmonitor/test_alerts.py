"""What is to be told, from what status says and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.common.plan import NOTHING, Delivery, Plan
from mainspring.plan.modelmonitor import alerts
from mainspring.plan.modelmonitor.observed import Observed
from tests import builders
from tests.builders import NOW, at

EVENTS = ["DriftDetected", "MonitorStalled", "RetrainStarted", "RetrainFailed", "RetrainRejected", "RetrainPromoted"]
LATER = NOW + timedelta(hours=1)
Entry = dict[str, Any]


def alert(name: str = "pager", kind: str = "Generic", **more: Any) -> dict[str, Any]:
    return {"name": name, "webhook": {"url": "https://a.example.org", "format": kind}, "events": EVENTS, **more}


def entry(state: str = "Firing", event: str = "DriftDetected", **more: Any) -> Entry:
    return {
        "name": "pager",
        "event": event,
        "since": at(0),
        "state": state,
        "changedAt": at(0),
        "attempts": 0,
        **{key: value for key, value in more.items() if value is not None},
    }


def run(outcome: str = "Running", name: str = "retrain-1") -> dict[str, Any]:
    return {
        "run": name,
        "reason": "PerformanceDegraded",
        "champion": "tumours-v1",
        "datasetVersion": "tumours-2",
        "newRows": 500,
        "time": at(0),
        "outcome": outcome,
    }


def drift(status: str) -> dict[str, Any]:
    return builders.condition("DriftDetected", status, "FeaturesDrifted", "radius: PSI 0.4")


def status(*conditions: dict[str, Any], entries: Sequence[Entry] = (), runs: Sequence[Any] = ()) -> dict[str, Any]:
    told = {"alerts": [*entries], "retrains": [*runs]}
    return {**{key: value for key, value in told.items() if value}, "conditions": [*conditions]}


def plan(
    before: dict[str, Any],
    now_said: dict[str, Any],
    asked: Sequence[dict[str, Any]] = (alert(),),
    deliveries: Mapping[str, Delivery] | None = None,
    generation: int = 1,
) -> Plan:
    made = builders.monitor(alerts=[*asked] or None)
    observed = Observed(
        object=builders.stored(made, before, generation=generation),
        spec=ModelMonitorSpec.model_validate(made["spec"]),
        settings=builders.SETTINGS,
        version=builders.model_version(1),
        deliveries=deliveries or {},
    )
    return alerts.with_alerts(observed, Plan(status=now_said, requeue_after=1800.0), LATER)


def entries(found: Plan) -> list[Entry]:
    assert found.status is not None
    return list(found.status.get("alerts") or ())


def sent(found: Plan) -> list[tuple[str, str]]:
    return [(notice.body["event"], notice.body["state"]) for notice in found.notices]


@pytest.mark.parametrize(
    ("before", "said", "state", "tells"),
    [
        (None, "False", None, False),
        (None, "Unknown", None, False),
        (None, "True", "Firing", True),
        (entry("Firing", deliveredAt=at(1)), "True", "Firing", False),
        (entry("Firing", deliveredAt=at(1)), "Unknown", "Firing", False),
        (entry("Firing", deliveredAt=at(1)), "False", "Resolved", True),
        (entry("Firing"), "True", "Firing", True),
        (entry("Firing"), "False", "Resolved", True),
        (entry("Resolved", deliveredAt=at(1)), "False", "Resolved", False),
        (entry("Resolved"), "False", "Resolved", True),
        (entry("Resolved"), "Unknown", "Resolved", True),
        (entry("Resolved", deliveredAt=at(1)), "True", "Firing", True),
    ],
)
def test_a_condition_is_told_when_it_begins_and_when_it_is_over(
    before: Entry | None, said: str, state: str | None, tells: bool
) -> None:
    found = plan(status(entries=[before] if before else []), status(drift(said)))
    assert [e["state"] for e in entries(found)] == ([state] if state else [])
    assert sent(found) == ([("DriftDetected", state)] if tells else [])
    assert found.status_first == bool(state), "it stands in status before it is sent"


def test_who_does_not_want_to_know_the_end_is_not_told() -> None:
    asked = [alert(resolved=False)]
    found = plan(status(entries=[entry(deliveredAt=at(1))]), status(drift("False")), asked)
    assert (entries(found), sent(found)) == ([], [])
    late = plan(status(entries=[entry()]), status(drift("False")), asked)
    assert sent(late) == [("DriftDetected", "Firing")], "but that it was"


def test_a_monitor_that_does_not_work_is_told_and_that_it_works_again() -> None:
    stalled = [builders.condition("Stalled", "True", "NoCounters", "why")]
    found = plan(status(), status(*stalled))
    assert sent(found) == [("MonitorStalled", "Firing")]
    assert sent(plan(status(entries=entries(found)), status())) == [("MonitorStalled", "Resolved")]


@pytest.mark.parametrize(
    ("known", "now_said", "tells"),
    [
        ([], [run()], ["RetrainStarted"]),
        ([run()], [run()], []),
        ([run()], [run("Failed")], ["RetrainFailed"]),
        ([run()], [run("Waiting")], []),
        ([run("Waiting")], [run("Rejected")], ["RetrainRejected"]),
        ([run("Waiting")], [run("Promoted")], ["RetrainPromoted"]),
        ([run("Promoted")], [run("Promoted")], []),
        ([run("Failed")], [run("Failed"), run("Running", "retrain-2")], ["RetrainStarted"]),
        ([], [run("Failed"), run("Promoted", "retrain-2")], ["RetrainStarted", "RetrainPromoted"]),
    ],
)
def test_what_happens_to_a_run_is_told_when_status_says_it_first(
    known: list[Any], now_said: list[Any], tells: list[str]
) -> None:
    """The last case is a status that was lost: of the last run alone."""
    found = plan(status(runs=known), status(runs=now_said))
    assert sent(found) == [(event, "Happened") for event in tells]


def test_a_run_that_could_not_be_told_is_told_though_another_one_began() -> None:
    waiting = entry("Happened", "RetrainFailed", run="retrain-1", attempts=3, error="x", nextAttempt=at(1))
    done = entry("Happened", "RetrainStarted", run="retrain-1", deliveredAt=at(1))
    runs = [run("Failed"), run("Running", "retrain-2")]
    found = plan(status(entries=[waiting, done], runs=runs), status(runs=runs))
    assert [(e["event"], e["run"]) for e in entries(found)] == [("RetrainFailed", "retrain-1")]
    assert sent(found) == [("RetrainFailed", "Happened")]


def outcome(found: Plan, **facts: Any) -> dict[str, Delivery]:
    """What became of the only notice."""
    (notice,) = found.notices
    return {notice.key: Delivery(LATER, **{"taken": False, **facts})}


def settled(**facts: Any) -> tuple[Entry, Plan]:
    """After the first try, in the next plan."""
    first = plan(status(), status(drift("True")))
    said = status(drift("True"), entries=entries(first))
    found = plan(said, status(drift("True")), deliveries=outcome(first, **facts))
    return entries(found)[0], found


def condition(found: Plan) -> tuple[str, str, str]:
    assert found.status is not None
    told = next(c for c in found.status["conditions"] if c["type"] == "AlertsDelivered")
    return told["status"], told["reason"], told["message"]


def test_what_was_taken_is_not_sent_again() -> None:
    told, found = settled(taken=True)
    assert (told["deliveredAt"], found.notices) == (objects.format_time(LATER), ())
    assert condition(found)[:2] == ("True", "Delivered")


@pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 10), (5.0, 10), (600.0, 600)])
def test_a_failure_is_tried_again_after_a_pause(retry_after: float, pause: int) -> None:
    told, found = settled(error="it answers 503", retry_after=retry_after)
    assert told["nextAttempt"] == objects.format_time(LATER + timedelta(seconds=pause))
    assert (told["attempts"], found.notices, found.requeue_after) == (1, (), float(pause))
    assert condition(found)[:2] == ("Unknown", "Retrying")
    assert "alert pager" in condition(found)[2]


def test_pauses_grow_and_it_ends() -> None:
    pauses = [alerts._pause(attempts) for attempts in range(1, 8)]
    assert pauses == [10, 20, 40, 80, 160, 300, 300]
    assert sum(alerts._pause(attempts) for attempts in range(1, alerts.ATTEMPTS_MAX)) == pytest.approx(
        4 * 3600, rel=0.1
    )
    last = entry(attempts=alerts.ATTEMPTS_MAX - 1, attemptedAt=at(1), error="x")
    first = plan(status(entries=[last]), status(drift("True")))
    found = plan(status(entries=[last]), status(drift("True")), deliveries=outcome(first, error="it answers 503"))
    assert (entries(found)[0]["givenUp"], found.notices) == (1, ())


def test_a_refusal_is_final_until_the_spec_or_the_state_changes() -> None:
    told, found = settled(error="it answers 404", final=True)
    assert (told["givenUp"], found.notices) == (1, ())
    assert condition(found) == (
        "False",
        "GivenUp",
        "alert pager could not tell DriftDetected: it answers 404 (spec.alerts webhook); it is tried again when there is news, or when spec changes",
    )
    same = plan(status(entries=[told]), status(drift("True")))
    assert (same.notices, same.requeue_after) == ((), 1800.0)
    assert sent(plan(status(entries=[told]), status(drift("True")), generation=2)) == [("DriftDetected", "Firing")]
    assert sent(plan(status(entries=[told]), status(drift("False")))) == [("DriftDetected", "Resolved")]


def test_the_same_result_is_not_counted_twice() -> None:
    first = plan(status(), status(drift("True")))
    deliveries = outcome(first, error="it answers 503")
    said = status(drift("True"), entries=entries(first))
    second = plan(said, status(drift("True")), deliveries=deliveries)
    third = plan(status(drift("True"), entries=entries(second)), status(drift("True")), deliveries=deliveries)
    assert entries(third) == entries(second)


def test_keys_tell_alerts_apart_and_stay() -> None:
    said = status(drift("True"), runs=[run()])
    found = plan(status(), said, [alert(), alert("chat")])
    again = plan(status(entries=entries(found)), said, [alert(), alert("chat")])
    keys = [notice.key for notice in found.notices]
    assert len(set(keys)) == 4
    assert keys[:2] == [notice.key for notice in again.notices][:2]
    over = plan(status(entries=entries(found)), status(drift("False")))
    assert over.notices[0].key != found.notices[0].key
    assert over.notices[0].body["key"] == found.notices[0].body["key"], "one alert, two notices"


def test_an_alert_that_is_removed_is_forgotten() -> None:
    found = plan(status(entries=[entry()]), status(drift("True")), [])
    assert found.status == status(drift("True"))
    other = plan(status(entries=[entry()]), status(drift("False")), [alert("other")])
    assert entries(other) == []


def test_the_list_is_bounded() -> None:
    many = [entry("Happened", "RetrainFailed", run=f"r-{n}") for n in range(63)]
    runs = [run(name="before"), run()]
    found = plan(status(entries=[entry(), *many], runs=runs[:1]), status(drift("True"), runs=runs))
    assert len(entries(found)) == 64
    assert entries(found)[0]["event"] == "DriftDetected"
    assert [e["run"] for e in entries(found)[1:]] == [*(f"r-{n}" for n in range(1, 63)), "retrain-1"], "the oldest went"


def test_a_plan_without_status_is_left_alone() -> None:
    made = builders.monitor(alerts=[alert()])
    spec = ModelMonitorSpec.model_validate(made["spec"])
    observed = Observed(object=builders.stored(made), spec=spec, settings=builders.SETTINGS)
    assert alerts.with_alerts(observed, NOTHING, NOW) == NOTHING


def test_an_alertmanager_is_told_again_in_time() -> None:
    asked = [alert(kind="Alertmanager")]
    early = entry(deliveredAt=objects.format_time(LATER - timedelta(seconds=299)))
    found = plan(status(entries=[early]), status(drift("True")), asked)
    assert (found.notices, found.requeue_after) == ((), 1.0)
    due = entry(deliveredAt=objects.format_time(LATER - timedelta(seconds=300)))
    (notice,) = plan(status(entries=[due]), status(drift("True")), asked).notices
    assert notice.body[0]["endsAt"] == objects.format_time(LATER + timedelta(minutes=15))
    over = entry("Resolved", deliveredAt=at(1))
    assert not plan(status(entries=[over]), status(drift("False")), asked).notices
