"""What a ModelMonitor does after each reading of its service's pods.

    what stands in the way ──► say so, and try again
    another version        ──► watch that one from now on
    the window goes on     ──► look again after `interval`
    the window is over     ──► judge it, and the season with it; then decide about a retrain

Invariants: what servers said is written before it is forgotten; a need is in status before anything follows from it; a
retrain is a TrainingRun whose name says what for, so it is made once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec, WindowStatus
from mainspring.api.v1alpha1.retraining import EndedNeed, Need, RetrainTrigger
from mainspring.plan.common import conditions, cron, objects
from mainspring.plan.common.conditions import Condition, Verdict
from mainspring.plan.common.objects import Manifest
from mainspring.plan.common.plan import NOTHING, Event, Patch, Plan
from mainspring.plan.modelmonitor import alerts, baseline, builders, evaluation, history, labelling, retraining, windows
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor.evaluation import Evaluation
from mainspring.plan.modelmonitor.labelling import Labelling
from mainspring.plan.modelmonitor.observed import Observed
from mainspring.plan.modelmonitor.retraining import Decision
from mainspring.plan.modelmonitor.windows import Closed, Read

LEAVING_SECONDS = 2.0
KEPT = ("DriftDetected", "QualityDegraded", "PerformanceDegraded", "DataSufficient")
KEPT_FIELDS = ("lastWindow", "drifted", "features", "baseline", "performance", "lostRowsAtMost", "need")
LASTING_FIELDS = ("retrained", "lastNeed", "lastScheduleTime")  # whichever version is watched


@dataclass(frozen=True)
class _Step:
    """This reading, and what it led to."""

    observed: Observed
    now: datetime
    version: str  # that answers
    read: Read
    result: Evaluation | None = None
    labelling: Labelling = field(default_factory=Labelling)


def make_plan(observed: Observed, now: datetime) -> Plan:
    return alerts.with_alerts(observed, _make_plan(observed, now), now)


def _make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    interval = objects.parse_duration(observed.spec.interval).total_seconds()
    if observed.spec.suspend:
        return _say(
            observed, now, conditions.ready("Suspended", "spec.suspend is true: set it to false to go on"), None
        )
    if problem := _wrong_schedule(observed.spec) or _problem(observed):
        return _say(observed, now, problem, interval)
    return _step(observed, now, interval)


def _wrong_schedule(spec: ModelMonitorSpec) -> Verdict | None:
    asked = spec.retrain
    if asked is None or asked.schedule is None:
        return None
    problem = cron.problem("spec.retrain", asked.schedule, asked.time_zone)
    return conditions.stalled("InvalidSchedule", problem) if problem else None


def _problem(observed: Observed) -> Verdict | None:
    """What must be there before anything can be read; each heals when it appears."""
    name = observed.spec.service
    if observed.service is None:
        return conditions.reconciling("ServiceNotFound", f"waits for InferenceService {name} (spec.service): create it")
    if observed.version is None:
        told = objects.condition(observed.service, conditions.READY) or {}
        return conditions.reconciling(
            "NotServing", f"waits for InferenceService {name} to serve a version: {told.get('message', '')}"
        )
    if observed.reading.unsuitable:
        return conditions.stalled(*observed.reading.unsuitable)
    if observed.reading.waiting:
        return conditions.reconciling(*observed.reading.waiting)
    if observed.reading.reference is None:
        why = "; ".join(f"{pod}: {text}" for pod, text in sorted(observed.reading.silent.items()))
        return conditions.reconciling(
            "NoAnswer", f"no pod of InferenceService {name} could be read yet: {why or 'none is there'}"
        )
    if missing := observed.reading.reference.reason:
        text = f"ModelVersion {objects.name(observed.version)} cannot be watched: {missing}: train it anew"
        return conditions.stalled("NoReference", text)
    return None


def _step(observed: Observed, now: datetime, interval: float) -> Plan:
    version, reference = objects.name(observed.version or {}), observed.reading.reference
    assert reference is not None  # _problem said so
    state, labelled = observed.state, labelling.decide(observed, version, reference, now)
    if state is None or state.version != version or state.digest != reference.digest:
        begun = windows.begin(version, reference.digest, observed.reading, state, observed.spec, now)
        step = _Step(observed, now, version, Read(begun, keep=True), labelling=labelled)
    else:
        read = windows.advance(state, observed.reading, observed.spec, now)
        step = _Step(observed, now, version, read, labelling=labelled)
    if step.read.closed is not None:
        step = _judged(step, step.read.closed)
    memory = states.write(step.read.state) if step.read.keep else None
    if memory is not None and len(memory) > states.MAX_BYTES:
        return _say(observed, now, _too_large(observed), interval)
    return _plan(step, memory, interval)


def _too_large(observed: Observed) -> Verdict:
    text = f"the counts of {len(observed.reading.snapshots)} pods with all their features do not fit into a ConfigMap: name features in spec.drift.exclude"
    return conditions.stalled("TooManyFeatures", text)


def _judged(step: _Step, closed: Closed) -> _Step:
    """A window with too few rows says nothing, not even that all is well; it still counts for the season."""
    reference = step.observed.reading.reference
    assert reference is not None
    result = evaluation.evaluate(step.observed.spec, step.read.state, closed, reference, step.labelling.joined)
    read = Read(result.state, True, closed, step.read.contradicted)
    return replace(step, read=read, result=result)


def _plan(step: _Step, memory: str | None, interval: float) -> Plan:
    """`memory` is the state as it is to be written, if it is."""
    observed, now = step.observed, step.now
    well = step.result.recovered if step.result else frozenset()
    before = known_need(observed)
    tick = retraining.due(observed, now)
    need = retraining.open_need(observed, before, _evidence(step, tick), step.version, now)
    decision = retraining.decide(observed, need, step.version, well, now)
    facts = _facts(step) | {"need": decision.need.to_dict() if decision.need else None, **_ended(need, decision, now)}
    if tick is not None:
        facts["lastScheduleTime"] = objects.format_time(tick)
    extra = (*_judgements(step), *step.labelling.conditions, _retrain_condition(decision))
    status = conditions.build_status(observed.object, _verdict(step), now, facts, extra)
    pause = LEAVING_SECONDS if observed.reading.leaving else interval
    return Plan(
        apply=(*_memory(step, memory), *step.labelling.apply, *_run(observed, decision)),
        patch=_refresh(observed, decision),
        delete=step.labelling.delete,
        status=status,
        status_first=True,
        events=(*_findings(step), *_events(observed, decision, before)),
        requeue_after=min(pause, decision.again or pause),
    )


def _ended(need: Need | None, decision: Decision, now: datetime) -> dict[str, Any]:
    """In the same write that closes the need, so that it is told once. A tick of the schedule is no trouble to be mended."""
    if need is None or need.reason is RetrainTrigger.SCHEDULE or decision.need is not None:
        return {}
    if decision.reason not in retraining.RESTORED:
        return {}
    until = objects.format_time(now)
    told = EndedNeed(reason=need.reason, since=need.since, until=until, outcome=decision.reason)
    return {"lastNeed": told.to_dict()}


def _evidence(step: _Step, tick: datetime | None) -> dict[RetrainTrigger, str]:
    found = step.result.evidence if step.result else {}
    asked = (
        {RetrainTrigger.SCHEDULE: f"spec.retrain.schedule asks for it ({objects.format_time(tick)})"} if tick else {}
    )
    return found | asked


def known_need(observed: Observed) -> Need | None:
    found = objects.status(observed.object).get("need")
    return Need.model_validate(found) if found else None


def _memory(step: _Step, memory: str | None) -> tuple[Manifest, ...]:
    """The history first: a window that ends again takes its own place in it, and one that was forgotten never ends again."""
    if memory is None:
        return ()
    return (*_history(step), builders.build_memory(step.observed.object, memory))


def _history(step: _Step) -> tuple[Manifest, ...]:
    observed, closed, result = step.observed, step.read.closed, step.result
    if closed is None or result is None:
        return ()
    return (builders.build_history(observed.object, observed.history, closed, step.version, result),)


def _run(observed: Observed, decision: Decision) -> tuple[Manifest, ...]:
    asked, start = observed.spec.retrain, decision.start
    if asked is None or start is None or decision.need is None:
        return ()
    number = _started(observed).get(decision.need.reason, 0) + 1
    return (builders.build_run(observed.object, asked, decision.need, start.dataset_version, start.new_rows, number),)


def _started(observed: Observed) -> dict[str, int]:
    return history.started(observed.runs, objects.status(observed.object).get("retrained") or {})


def _refresh(observed: Observed, decision: Decision) -> tuple[Patch, ...]:
    if not decision.refresh or observed.dataset is None or decision.need is None:
        return ()
    return (builders.refresh(observed.dataset, decision.need.refreshed_at or ""),)


def _verdict(step: _Step) -> Verdict:
    """Whether the monitor works. What it finds does not make it not ready."""
    reading = step.observed.reading
    count = len(reading.snapshots)
    pods = (
        f"{count} {'pod' if count == 1 else 'pods'} of ModelVersion {step.version} {'is' if count == 1 else 'are'} read"
    )
    if reading.silent:
        silent = "; ".join(f"{pod}: {why}" for pod, why in sorted(reading.silent.items())[:3])
        pods += f", {len(reading.silent)} do not answer ({silent})"
    if step.read.contradicted:
        pods += f"; {'; '.join(step.read.contradicted[:3])}"
    if reading.note:
        pods += f"; {reading.note}"
    return conditions.ready("Watching", pods)


def _facts(step: _Step) -> dict[str, Any]:
    observed, result = step.observed, step.result
    facts = {} if _is_new(step) else {key: objects.status(observed.object).get(key) for key in KEPT_FIELDS}
    facts |= {"version": step.version, "pods": len(observed.reading.snapshots)}
    facts |= {key: objects.status(observed.object).get(key) for key in LASTING_FIELDS}
    facts["retrained"] = _started(observed) or None
    entries = history.entries(observed.runs, observed.versions)
    facts["lostRowsAtMost"] = step.read.state.lost or None
    facts["retrains"] = [entry.to_dict() for entry in entries] or None
    if result is None or step.read.closed is None:
        return facts
    facts["lastWindow"] = _window(step.read.closed, step.version).to_dict()
    if step.read.closed.enough:
        facts["drifted"] = result.drifted
        facts["features"] = [feature.to_dict() for feature in result.features] or None
    found = baseline.described(observed.spec, step.read.state)
    facts["baseline"] = found.to_dict() if found else None
    facts["performance"] = result.performance.to_dict() if result.performance else None
    return facts


def _window(closed: Closed, version: str) -> WindowStatus:
    labels = closed.counts.feedback.rows if closed.counts.feedback else 0
    return WindowStatus(
        number=closed.number,
        start=closed.start,
        end=closed.end,
        rows=closed.counts.rows,
        labels=labels,
        version=version,
    )


def _judgements(step: _Step) -> tuple[Condition, ...]:
    """Of the last window; what it did not say stays as it was said before."""
    closed, result = step.read.closed, step.result
    if closed is None or result is None:
        kept = () if _is_new(step) else conditions.kept(step.observed.object, *KEPT)
        return kept or _unknown(step)
    if closed.enough:
        sufficient = Condition("DataSufficient", "True", "EnoughRows", f"the last window had {closed.counts.rows} rows")
        return (*result.conditions, sufficient)
    text = f"the last window had {closed.counts.rows} of {step.observed.spec.window.minimum_rows} rows (spec.window.minimumRows) and was not judged"
    unjudged = tuple(Condition(kind, "Unknown", "TooFewRows", text) for kind in ("DriftDetected", "QualityDegraded"))
    measured = tuple(c for c in result.conditions if c.type == "PerformanceDegraded")
    return (*unjudged, *measured, Condition("DataSufficient", "False", "TooFewRows", text))


def _is_new(step: _Step) -> bool:
    """What status says is about another version."""
    return bool(objects.status(step.observed.object).get("version") != step.version)


def _unknown(step: _Step) -> tuple[Condition, ...]:
    text = f"the first window of ModelVersion {step.version} is open since {step.read.state.opened}"
    kinds = KEPT if step.observed.spec.performance else [kind for kind in KEPT if kind != "PerformanceDegraded"]
    return tuple(Condition(kind, "Unknown", "FirstWindow", text) for kind in kinds)


def _retrain_condition(decision: Decision) -> Condition:
    return Condition("RetrainTriggered", "True" if decision.triggered else "False", decision.reason, decision.message)


def _events(observed: Observed, decision: Decision, before: Need | None) -> tuple[Event, ...]:
    """Each decision is told once: when the reason changes."""
    told = objects.condition(observed.object, "RetrainTriggered") or {}
    if decision.reason in (told.get("reason"), "NotNeeded", "NotConfigured") or (
        before is None and decision.need is None
    ):
        return ()
    return (Event(f"Retrain{decision.reason}", decision.message),)


def _findings(step: _Step) -> tuple[Event, ...]:
    """What a window found, when it was not so before; and that it is over."""
    found = step.result.conditions if step.result and step.read.closed and step.read.closed.enough else ()
    return tuple(event for condition in found for event in _finding(step.observed, condition))


def _finding(observed: Observed, now: Condition) -> tuple[Event, ...]:
    before = (objects.condition(observed.object, now.type) or {}).get("status")
    if now.status == "True" and before != "True":
        return (Event(now.type, now.message, "Warning"),)
    return (Event(f"{now.type}Over", now.message),) if (before, now.status) == ("True", "False") else ()


def _say(observed: Observed, now: datetime, verdict: Verdict, again: float | None) -> Plan:
    facts = {
        key: objects.status(observed.object).get(key) for key in (*KEPT_FIELDS, *LASTING_FIELDS, "version", "retrains")
    }
    extra = conditions.kept(observed.object, *KEPT, labelling.CONDITION, "RetrainTriggered")
    return Plan(status=conditions.build_status(observed.object, verdict, now, facts, extra), requeue_after=again)
