"""What a Dataset does next: prepare when something asks for it, make a version of what came out, say what is current.

Invariant: `status.current` only ever names a version whose checks all passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.common import ANNOTATION_TRIGGER
from mainspring.plan.common import checks, conditions, jobs, objects
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import NOTHING, Event, Patch, Plan, annotate
from mainspring.plan.dataset import builders, trigger
from mainspring.plan.dataset.observed import Observed

RETRY_FIRST_SECONDS = 10
RETRY_LIMIT_SECONDS = 600
WAITING_LOOK_SECONDS = 15
TRIGGER_MANAGER = "mainspring-trigger"


@dataclass(frozen=True)
class Situation:
    """Observed, with what follows from it at once."""

    observed: Observed
    now: datetime
    trigger: str
    served: bool  # the trigger was answered by a preparation
    attempt: int
    job: JobState | None  # of this trigger and attempt
    current: Object | None


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    if problem := trigger.problem(observed.spec):
        return _say(observed, now, conditions.stalled("InvalidSchedule", problem), {})
    if missing := _missing_inputs(observed):
        return _say(observed, now, conditions.reconciling("InputsNotReady", missing), {})
    situation = _situation(observed, now)
    if situation.served:
        return _settled(situation)
    if situation.job is None:
        return _start(situation)
    return {"Running": _running, "Succeeded": _succeeded, "Failed": _failed}[situation.job.state](situation)


def _missing_inputs(observed: Observed) -> str:
    missing = [name for name, version in observed.inputs.items() if version is None]
    return f"spec.inputs: Dataset {missing[0]} has no valid version yet; this continues when it has" if missing else ""


def _situation(observed: Observed, now: datetime) -> Situation:
    digests = {name: v["spec"]["digest"] for name, v in sorted(observed.inputs.items()) if v is not None}
    asked = _asked(observed, digests, now)
    status = objects.status(observed.object)
    attempt = _attempt(observed, asked)
    name = builders.job_name(observed, asked, attempt)
    return Situation(
        observed=observed,
        now=now,
        trigger=asked,
        served=status.get("trigger") == asked or any(_trigger_of(v) == asked for v in observed.versions),
        attempt=attempt,
        job=next((job for job in observed.jobs if job.name == name), None),
        current=current_version(observed, asked),
    )


def _asked(observed: Observed, digests: dict[str, str], now: datetime) -> str:
    """The trigger to answer now. A tick of the schedule does not interrupt a preparation that runs; it comes after it."""
    asked = trigger.current(observed.object, observed.spec, digests, now)
    running = next((job for job in reversed(observed.jobs) if job.state == "Running"), None)
    if running is None:
        return asked
    then = trigger.current(observed.object, observed.spec, digests, objects.created_at(running.job))
    return then if builders.job_name(observed, then, _attempt(observed, then)) == running.name else asked


def _attempt(observed: Observed, asked: str) -> int:
    status = objects.status(observed.object)
    return int(status.get("attempt", 0)) if status.get("tried") == asked else 0


def current_version(observed: Observed, asked: str = "") -> Object | None:
    """The version made for this trigger, else the one that status names, else the newest; always a valid one."""
    valid = [v for v in observed.versions if checks.is_valid(v)]
    named = objects.status(observed.object).get("current")
    answers = [v for v in valid if _trigger_of(v) == asked] or [v for v in valid if objects.name(v) == named]
    return objects.newest(answers or valid)


def _trigger_of(version: Object) -> str:
    return objects.annotations_of(version).get(ANNOTATION_TRIGGER, "")


def _start(situation: Situation) -> Plan:
    """A Job for this attempt; before a retry, wait until its time has come."""
    observed, now = situation.observed, situation.now
    retry_at = objects.status(observed.object).get("retryAt") if situation.attempt else None
    if retry_at and (wait := (objects.parse_time(retry_at) - now).total_seconds()) > 0:
        return Plan(requeue_after=wait)
    manifests = builders.build_prepare_job(
        observed, situation.trigger, situation.attempt, objects.format_time(now), situation.current
    )
    verdict = conditions.reconciling("Preparing", f"Job {manifests[-1]['metadata']['name']} prepares the data")
    plan = _say(
        observed, now, verdict, _facts(situation), delete=_old_jobs(observed, manifests[-1]["metadata"]["name"])
    )
    return Plan(apply=manifests, delete=plan.delete, status=plan.status, requeue_after=WAITING_LOOK_SECONDS)


def _running(situation: Situation) -> Plan:
    job = situation.job
    assert job is not None
    if job.waiting:
        verdict = job.waiting.verdict(job.name)
    elif job.progress:
        verdict = conditions.reconciling("Preparing", f"Job {job.name}: {job.progress.stage}")
    else:
        verdict = conditions.reconciling("Preparing", f"Job {job.name} prepares the data")
    return _say(situation.observed, situation.now, verdict, _facts(situation), requeue=WAITING_LOOK_SECONDS)


def _succeeded(situation: Situation) -> Plan:
    job = situation.job
    assert job is not None
    report: contract.PrepareReport | None = jobs.parse_report(job, contract.PrepareReport)
    if report is None or not (report.unchanged or report.digest):
        lost = contract.Outcome(
            outcome="Failed", reason="ReportMissing", message="the Job ended well but left no report"
        )
        return _retry(situation, lost)
    if report.unchanged:
        return _unchanged(situation)
    version = builders.build_version(situation.observed, report, situation.trigger, job.started_at)
    return _new_version(situation, version)


def _unchanged(situation: Situation) -> Plan:
    """The source is as it was: nothing new, but the question is answered."""
    plan = _settled(situation)
    if situation.current is None:
        return plan
    return Plan(patch=(_mark(situation, situation.current),), status=plan.status, requeue_after=plan.requeue_after)


def _mark(situation: Situation, version: Object) -> Patch:
    """Remembers on the version which trigger it answers, in case status is lost."""
    return annotate(
        objects.ref(version), objects.uid(version), {ANNOTATION_TRIGGER: situation.trigger}, TRIGGER_MANAGER
    )


def _new_version(situation: Situation, version: dict[str, Any]) -> Plan:
    observed = situation.observed
    known = next((v for v in observed.versions if objects.name(v) == objects.name(version)), None)
    patch = (_mark(situation, known),) if known is not None else ()
    versions = observed.versions if known is not None else (*observed.versions, version)
    done = Situation(**{**situation.__dict__, "current": version if checks.is_valid(version) else situation.current})
    plan = _settled(done, latest=version, versions=versions)
    rows, new = objects.spec(version).get("rows"), objects.spec(version).get("newRows")
    fresh = f", {new['rows']} newly labelled since {new['since']}" if new else ""
    event = Event("VersionCreated", f"DatasetVersion {objects.name(version)} with {rows} rows{fresh}")
    return Plan(
        apply=() if known is not None else (version,),
        patch=patch,
        status=plan.status,
        events=() if known is not None else (event,),
        requeue_after=plan.requeue_after,
    )


def _failed(situation: Situation) -> Plan:
    job = situation.job
    assert job is not None
    if not job.permanent:
        return _retry(situation, job.outcome)
    outcome = job.outcome
    again = "then change the spec, or set the annotation mainspring.dev/refresh to a new value to look again"
    message = f"{jobs.explain(outcome)} ({again})"
    return _say(
        situation.observed,
        situation.now,
        conditions.stalled(outcome.reason or "PrepareFailed", _keeps(situation, message)),
        _facts(situation),
        requeue=_until_tick(situation),
    )


def _retry(situation: Situation, outcome: contract.Outcome) -> Plan:
    """Trouble that may pass: again after a while, for as long as it takes, and say so."""
    attempt = situation.attempt + 1
    wait = min(RETRY_FIRST_SECONDS * 2**situation.attempt, RETRY_LIMIT_SECONDS)
    facts = _facts(situation) | {
        "tried": situation.trigger,
        "attempt": attempt,
        "retryAt": objects.format_time(situation.now + timedelta(seconds=wait)),
    }
    message = _keeps(situation, f"attempt {attempt} failed: {jobs.explain(outcome)}; next try in {wait} s")
    verdict = conditions.stalled(outcome.reason or "PrepareFailed", message)
    return _say(situation.observed, situation.now, verdict, facts, requeue=wait)


def _keeps(situation: Situation, message: str) -> str:
    return f"{message}; {objects.name(situation.current)} stays current" if situation.current else message


def _settled(situation: Situation, latest: Object | None = None, versions: tuple[Object, ...] | None = None) -> Plan:
    """The trigger is answered: say what is current, remove what is no longer needed, sleep until the next tick."""
    observed = situation.observed
    every = observed.versions if versions is None else versions
    newest = latest or _latest(situation)
    facts = _facts(situation, every) | {
        "trigger": situation.trigger,
        "latest": objects.name(newest) if newest else None,
        "lastChecked": _last_checked(situation),
    }
    facts.update(tried=None, attempt=None, retryAt=None)
    verdict = _settled_verdict(situation.current, newest)
    keep = situation.job.name if situation.job else None
    delete = (*_old_jobs(observed, keep), *_surplus(observed, situation.current))
    return _say(observed, situation.now, verdict, facts, requeue=_until_tick(situation), delete=delete)


def _latest(situation: Situation) -> Object | None:
    """The version that answers the trigger, else the one that status names, else the newest."""
    versions = situation.observed.versions
    named = objects.status(situation.observed.object).get("latest")
    answers = [v for v in versions if _trigger_of(v) == situation.trigger]
    return (
        objects.newest(answers)
        or next((v for v in versions if objects.name(v) == named), None)
        or objects.newest(versions)
    )


def _settled_verdict(current: Object | None, latest: Object | None) -> Verdict:
    if latest is not None and not checks.is_valid(latest):
        kept = f"; {objects.name(current)} stays current" if current else ""
        return conditions.stalled(
            "ChecksFailed", f"DatasetVersion {objects.name(latest)}: {checks.describe_failed(latest)}{kept}"
        )
    if current is None:
        return conditions.stalled(
            "NoValidVersion", "no DatasetVersion is left; set the annotation mainspring.dev/refresh to make one"
        )
    rows = objects.spec(current).get("rows")
    return conditions.ready("Current", f"DatasetVersion {objects.name(current)} with {rows} rows is current")


def _last_checked(situation: Situation) -> str | None:
    status = objects.status(situation.observed.object)
    if status.get("trigger") == situation.trigger and status.get("lastChecked"):
        return str(status["lastChecked"])
    return (situation.job.finished_at if situation.job else None) or objects.format_time(situation.now)


def _facts(situation: Situation, versions: tuple[Object, ...] | None = None) -> dict[str, Any]:
    """Status fields that are always told; what was known before stays."""
    status = objects.status(situation.observed.object)
    keep = {key: status.get(key) for key in ("latest", "lastChecked", "trigger")}
    if situation.attempt:
        keep |= {key: status.get(key) for key in ("tried", "attempt", "retryAt")}
    current = situation.current
    tick = trigger.next_tick(situation.observed.spec, situation.now)
    return keep | {
        "current": objects.name(current) if current else None,
        "rows": objects.spec(current).get("rows") if current else None,
        "versions": len(situation.observed.versions if versions is None else versions),
        "nextRefresh": objects.format_time(tick) if tick else None,
    }


def _until_tick(situation: Situation) -> float | None:
    tick = trigger.next_tick(situation.observed.spec, situation.now)
    return (tick - situation.now).total_seconds() + 0.5 if tick else None


def _old_jobs(observed: Observed, keep: str | None) -> tuple[tuple[Ref, str], ...]:
    """Jobs other than this one, or than the newest, whose log may still be wanted; with what they needed."""
    if keep is None:
        keep = observed.jobs[-1].name if observed.jobs else None
    every: Iterable[Object] = (*(job.job for job in observed.jobs), *observed.job_children)
    return tuple((objects.ref(o), objects.uid(o)) for o in every if objects.name(o) != keep)


def _surplus(observed: Observed, current: Object | None) -> tuple[tuple[Ref, str], ...]:
    """Versions beyond `retain`, oldest first; those in use stay."""
    needed = observed.in_use | ({objects.name(current)} if current else set())
    excess = len(observed.versions) - observed.spec.retain
    free = [v for v in observed.versions if objects.name(v) not in needed and objects.controller(v) is None]
    return tuple((objects.ref(v), objects.uid(v)) for v in free[: max(excess, 0)])


def _say(
    observed: Observed,
    now: datetime,
    verdict: Verdict,
    facts: dict[str, Any],
    *,
    requeue: float | None = None,
    delete: tuple[tuple[Ref, str], ...] = (),
) -> Plan:
    status = objects.status(observed.object)
    kept = facts or {k: v for k, v in status.items() if k not in ("conditions", "observedGeneration")}
    return Plan(
        status=conditions.build_status(observed.object, verdict, now, kept), delete=delete, requeue_after=requeue
    )
