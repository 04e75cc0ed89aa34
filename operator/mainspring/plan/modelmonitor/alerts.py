"""Who is told of what. It follows from the conditions and runs that status says, and is written there before it is sent.

    condition True ──► Firing ──condition False──► Resolved          a run ──► Happened
                          │                           │                           │
                          └──── sent until it is taken, or nobody can take it ────┘

Unknown says nothing: neither that something begins, nor that it is over. What happened to a run is told when status says
so for the first time, in the very write that does. An entry that is not marked as delivered is sent, perhaps once more
than needed: an operator that dies in between knows no better. Both carry the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mainspring.api.v1alpha1.alerts import (
    ALERT_ENTRIES_MAX,
    Alert,
    AlertEntry,
    AlertEvent,
    AlertFormat,
    AlertState,
)
from mainspring.api.v1alpha1.retraining import RetrainEntry
from mainspring.plan.common import conditions, objects
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.plan import Notice, Plan
from mainspring.plan.modelmonitor import payloads
from mainspring.plan.modelmonitor.observed import Observed
from mainspring.plan.modelmonitor.payloads import Told

CONDITION = "AlertsDelivered"
CONDITIONS = {
    AlertEvent.DRIFT_DETECTED: "DriftDetected",
    AlertEvent.QUALITY_DEGRADED: "QualityDegraded",
    AlertEvent.PERFORMANCE_DEGRADED: "PerformanceDegraded",
    AlertEvent.MONITOR_STALLED: conditions.STALLED,
}
OUTCOMES = {
    "Failed": AlertEvent.RETRAIN_FAILED,
    "Rejected": AlertEvent.RETRAIN_REJECTED,
    "Promoted": AlertEvent.RETRAIN_PROMOTED,
}
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0
ATTEMPTS_MAX = 50  # about four hours
LOOK_AGAIN_SECONDS = 60.0  # when what was sent has not come back: much longer than sending may take
KEY_LETTERS = 20
ERROR_MAX = 256


@dataclass(frozen=True)
class _Case:
    observed: Observed
    status: Mapping[str, Any]  # that is to be written
    now: datetime

    @property
    def before(self) -> list[AlertEntry]:
        return [AlertEntry.model_validate(e) for e in objects.status(self.observed.object).get("alerts") or ()]

    def condition(self, kind: str) -> Mapping[str, Any]:
        return next((c for c in self.status.get("conditions") or () if c["type"] == kind), {})


def with_alerts(observed: Observed, plan: Plan, now: datetime) -> Plan:
    """The plan with what is to be told of its status, and with what became of what was told before."""
    if plan.status is None:
        return plan
    case = _Case(observed, plan.status, now)
    alerts = {alert.name: alert for alert in observed.spec.alerts or ()}
    entries = _bounded([_settled(case, e) for e in _entries(case, alerts)])
    due = [(e, moment) for e in entries if (moment := _due(case, alerts[e.name], e)) is not None]
    pauses = [max((moment - now).total_seconds(), 1.0) if moment > now else LOOK_AGAIN_SECONDS for _, moment in due]
    again = min([*pauses, *([plan.requeue_after] if plan.requeue_after is not None else [])], default=None)
    return replace(
        plan,
        status=_status(case, entries) if alerts else plan.status,
        status_first=plan.status_first or bool(entries),
        notices=tuple(_notice(case, alerts[e.name], e) for e, moment in due if moment <= now),
        requeue_after=again,
    )


def _entries(case: _Case, alerts: Mapping[str, Alert]) -> list[AlertEntry]:
    """What there is to tell, or was; those of runs behind the others."""
    before = [e for e in case.before if e.name in alerts and e.event in alerts[e.name].events]
    lasting = {(e.name, e.event): e for e in before if e.run is None}
    found = [
        _lasting(case, alert, event, lasting.get((alert.name, event)))
        for alert in alerts.values()
        for event in alert.events
        if event in CONDITIONS
    ]
    news = _news(case)
    happened = [
        _happened(case, alert, event, run) for alert in alerts.values() for event, run in news if event in alert.events
    ]
    newest = _runs(case.status)[-1].run if _runs(case.status) else None
    kept = [e for e in before if e.run is not None and (e.run == newest or _is_open(case, e))]
    return [*(e for e in found if e is not None), *kept, *happened]


def _lasting(case: _Case, alert: Alert, event: AlertEvent, before: AlertEntry | None) -> AlertEntry | None:
    found = case.condition(CONDITIONS[event])
    status = found.get("status", "False" if event is AlertEvent.MONITOR_STALLED else "Unknown")
    firing = before is not None and before.state is AlertState.FIRING
    if status == "True" and not firing:
        return _entry(case, alert, event, AlertState.FIRING, str(found["lastTransitionTime"]))
    if status != "False" or before is None or not firing:
        return before
    if alert.resolved:
        return _entry(case, alert, event, AlertState.RESOLVED, before.since)
    return before if _is_open(case, before) else None


def _entry(
    case: _Case, alert: Alert, event: AlertEvent, state: AlertState, since: str, run: str | None = None
) -> AlertEntry:
    at = objects.format_time(case.now)
    return AlertEntry(name=alert.name, event=event, since=since, run=run, state=state, changed_at=at)


def _happened(case: _Case, alert: Alert, event: AlertEvent, run: str) -> AlertEntry:
    return _entry(case, alert, event, AlertState.HAPPENED, objects.format_time(case.now), run)


def _news(case: _Case) -> list[tuple[AlertEvent, str]]:
    """What status says of runs for the first time. If it said nothing yet, perhaps because it was lost: of the last one."""
    known = {run.run: run.outcome for run in _runs(objects.status(case.observed.object))}
    runs = _runs(case.status)
    news: list[tuple[AlertEvent, str]] = []
    for run in runs if known else runs[-1:]:
        if run.run not in known:
            news.append((AlertEvent.RETRAIN_STARTED, run.run))
        if run.outcome in OUTCOMES and known.get(run.run) != run.outcome:
            news.append((OUTCOMES[run.outcome], run.run))
    return news


def _runs(status: Mapping[str, Any]) -> list[RetrainEntry]:
    return [RetrainEntry.model_validate(entry) for entry in status.get("retrains") or ()]


def _is_open(case: _Case, entry: AlertEntry) -> bool:
    """Still to be delivered."""
    return entry.delivered_at is None and not _is_given_up(case, entry)


def _is_given_up(case: _Case, entry: AlertEntry) -> bool:
    """Until the spec changes, which may have been what was wrong."""
    return entry.given_up == objects.generation(case.observed.object)


def _bounded(entries: list[AlertEntry]) -> list[AlertEntry]:
    """Those of the oldest runs go first."""
    lasting = [e for e in entries if e.run is None]
    return [*lasting, *[e for e in entries if e.run is not None][-(ALERT_ENTRIES_MAX - len(lasting)) :]]


def _settled(case: _Case, entry: AlertEntry) -> AlertEntry:
    """With what became of it since status was written."""
    known = case.observed.deliveries.get(_notice_key(case, entry))
    if known is None or (at := objects.format_time(known.at)) <= (entry.attempted_at or ""):
        return entry
    if known.taken:
        clean = {"attempts": 0, "next_attempt": None, "error": None, "given_up": None}
        return entry.model_copy(update={"delivered_at": at, "attempted_at": at, **clean})
    attempts = entry.attempts + 1
    pause = max(_pause(attempts), known.retry_after)
    over = known.final or attempts >= ATTEMPTS_MAX
    return entry.model_copy(
        update={
            "attempts": attempts,
            "attempted_at": at,
            "next_attempt": objects.format_time(known.at + timedelta(seconds=pause)),
            "error": known.error[:ERROR_MAX],
            "given_up": objects.generation(case.observed.object) if over else None,
        }
    )


def _pause(attempts: int) -> float:
    return float(min(FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), LONGEST_PAUSE_SECONDS))


def _due(case: _Case, alert: Alert, entry: AlertEntry) -> datetime | None:
    """When it must be sent; None when there is no need."""
    if _is_given_up(case, entry):
        return None
    after = objects.parse_time(entry.next_attempt) if entry.next_attempt and entry.given_up is None else case.now
    if entry.delivered_at is None:
        return after
    if alert.webhook.format is not AlertFormat.ALERTMANAGER or entry.state is not AlertState.FIRING:
        return None
    return max(after, objects.parse_time(entry.delivered_at) + timedelta(seconds=payloads.REPEAT_SECONDS))


def _notice(case: _Case, alert: Alert, entry: AlertEntry) -> Notice:
    webhook = alert.webhook
    return Notice(
        key=_notice_key(case, entry),
        body=payloads.build(webhook.format, _told(case, entry), case.now),
        url=webhook.url,
        url_key=webhook.url_key,
        attempted_at=entry.attempted_at or "",
        path=payloads.ALERTMANAGER_PATH if webhook.format is AlertFormat.ALERTMANAGER else "",
    )


def _key(case: _Case, entry: AlertEntry, *more: str) -> str:
    facts = [objects.uid(case.observed.object), entry.name, entry.event, entry.run or entry.since, *more]
    return objects.stable_hash(facts, KEY_LETTERS)


def _notice_key(case: _Case, entry: AlertEntry) -> str:
    """Firing and resolved are two notices of one alert."""
    return _key(case, entry, entry.state)


def _told(case: _Case, entry: AlertEntry) -> Told:
    obj, version = case.observed.object, case.observed.version
    reason, message = _words(case, entry)
    return Told(
        key=_key(case, entry),
        alert=entry.name,
        event=entry.event,
        state=entry.state,
        since=entry.since,
        namespace=objects.namespace(obj),
        monitor=objects.name(obj),
        service=case.observed.spec.service,
        model=str(objects.spec(version or {}).get("model", "")),
        version=str(case.status.get("version", "")),
        run=entry.run or "",
        reason=reason,
        message=message,
    )


def _words(case: _Case, entry: AlertEntry) -> tuple[str, str]:
    """Reason and message of the condition, or of the run."""
    if entry.run is None:
        found = case.condition(CONDITIONS[entry.event])
        return str(found.get("reason", "")), str(found.get("message", ""))
    run = next((r for r in _runs(case.status) if r.run == entry.run), None)
    if run is None:
        return "", f"TrainingRun {entry.run}"
    came = f", ModelVersion {run.version}" if run.version else ""
    text = f"TrainingRun {run.run} on DatasetVersion {run.dataset_version} ({run.new_rows} new rows), to improve on {run.champion}: {run.outcome}{came}"
    return run.reason, text


def _status(case: _Case, entries: list[AlertEntry]) -> dict[str, Any]:
    found = _condition(case, entries)
    others = [c for c in case.status.get("conditions") or () if c["type"] != CONDITION]
    return {
        **case.status,
        **({"alerts": [entry.to_dict() for entry in entries]} if entries else {}),
        "conditions": [*others, conditions.build_condition(case.observed.object, found, case.now)],
    }


def _condition(case: _Case, entries: Iterable[AlertEntry]) -> Condition:
    failing = [e for e in entries if e.error]
    if lost := [e for e in failing if _is_given_up(case, e)]:
        text = f"{_named(lost)}; it is tried again when there is news, or when spec changes"
        return Condition(CONDITION, "False", "GivenUp", text)
    if failing:
        return Condition(CONDITION, "Unknown", "Retrying", f"{_named(failing)}; it is tried again by itself")
    if any(e.delivered_at is None for e in entries):
        return Condition(CONDITION, "Unknown", "Sending", "there is news to be told")
    return Condition(CONDITION, "True", "Delivered", "everything there was to tell was taken")


def _named(failing: Iterable[AlertEntry]) -> str:
    found = {e.name: f"alert {e.name} could not tell {e.event}: {e.error} (spec.alerts webhook)" for e in failing}
    return "; ".join(found.values())
