"""What a TrainingRun does next: wait for its data and model, run attempts one after another, report, be registered.

Invariants: which data and which attempt is written to status before the Job is made; a finished run never runs again,
even when its status was lost (the outcome is also an annotation).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.common import ANNOTATION_FINISHED
from mainspring.plan.common import checks, conditions, jobs, objects
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import NOTHING, Patch, Plan, annotate
from mainspring.plan.trainingrun import builders, retry, status
from mainspring.plan.trainingrun.observed import Observed

SUCCEEDED, FAILED = "Succeeded", "Failed"
FINISHED_MANAGER = "mainspring-finished"
WAITING_LOOK_SECONDS = 15


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    if finished(observed):
        return _after_the_end(observed, now)
    if job := next((j for j in observed.jobs if j.state == "Succeeded"), None):
        return _register(observed, job, now)
    if job := next((j for j in observed.jobs if j.state == "Running"), None):
        return _running(observed, job, now)
    if observed.spec.suspend:
        facts = status.known(observed) | {"phase": "Suspended", "attempts": status.attempts(observed) or None}
        return _say(observed, now, conditions.ready("Suspended", _SUSPENDED), facts)
    failed = [j for j in observed.jobs if j.state == "Failed"]
    if retry.is_exhausted(failed, observed.spec.retries):
        return _fail(observed, failed, now)
    return _start(observed, failed, now)


_SUSPENDED = "spec.suspend is true: set it to false to go on"


def finished(observed: Observed) -> str:
    """`Succeeded` or `Failed` once it has ended, by annotation or status; else empty."""
    return objects.annotations_of(observed.object).get(ANNOTATION_FINISHED, "")


def _start(observed: Observed, failed: list[JobState], now: datetime) -> Plan:
    """The next attempt, when everything it needs is there and the pause after a failure is over."""
    if problem := _problem(observed):
        return _say(observed, now, problem, status.known(observed) | {"phase": "Pending"})
    if failed and (wait := (retry.next_try(failed, now) - now).total_seconds()) > 0:
        return _wait_for_retry(observed, failed, wait, now)
    version = observed.dataset_version
    assert version is not None  # _problem said so
    left = jobs.job_deadline(observed.spec.deadline, status.known(observed).get("startTime"), now)
    if left is not None and left <= 0:
        facts = status.known(observed) | {"attempts": status.attempts(observed)}
        text = "the run's deadline passed: raise spec.deadline in a new run"
        return _end(observed, now, FAILED, "DeadlineExceeded", text, facts)
    attempt = _attempt_number(observed)
    facts = status.decided(observed, version, attempt, now)
    manifests = builders.build_attempt(observed, version, attempt, left)
    verdict = conditions.reconciling("Starting", f"attempt {attempt} starts on DatasetVersion {objects.name(version)}")
    built = conditions.build_status(observed.object, verdict, now, facts)
    return Plan(apply=manifests, status=built, status_first=True, requeue_after=WAITING_LOOK_SECONDS)


def _attempt_number(observed: Observed) -> int:
    """The attempt that was decided but has no Job yet, else the next one."""
    told = {a["number"]: a for a in objects.status(observed.object).get("attempts") or ()}
    made = {status.jobs_attempt(job) for job in observed.jobs}
    pending = [n for n, a in told.items() if a.get("outcome") == "Running" and n not in made]
    return pending[-1] if pending else max((*told, *made), default=0) + 1


def _problem(observed: Observed) -> Verdict | None:
    """What must be there before a run can start; each heals when it appears."""
    checklist = (_dataset_ready, _model_exists)
    return next((found for check in checklist if (found := check(observed))), None)


def _dataset_ready(observed: Observed) -> Verdict | None:
    name, pinned = observed.spec.dataset.name, observed.spec.dataset.version
    if observed.dataset_version is not None:
        return _dataset_usable(observed, observed.dataset_version)
    if decided := (status.known(observed).get("lineage") or {}).get("datasetVersion"):
        return conditions.stalled(
            "DatasetVersionDeleted",
            f"DatasetVersion {decided}, on which this run began, was deleted: restore it, or start a new run",
        )
    if pinned:
        return conditions.reconciling(
            "DatasetVersionNotFound", f"waits for DatasetVersion {pinned} (spec.dataset.version)"
        )
    if observed.dataset is None:
        return conditions.reconciling(
            "DatasetNotFound",
            f"waits for Dataset {name} (spec.dataset.name): create it, or correct the name in a new run",
        )
    told = objects.condition(observed.dataset, conditions.READY)
    why = f": {told['message']}" if told and told.get("message") else ""
    return conditions.reconciling("DatasetNotReady", f"waits for Dataset {name} to have a valid version{why}")


def _dataset_usable(observed: Observed, version: Object) -> Verdict | None:
    owner = objects.spec(version).get("dataset")
    if owner != observed.spec.dataset.name:
        return conditions.stalled(
            "InvalidReference",
            f"spec.dataset.version {objects.name(version)} belongs to Dataset {owner}, not {observed.spec.dataset.name}",
        )
    if not checks.is_valid(version):
        return conditions.stalled(
            "DatasetVersionInvalid",
            f"DatasetVersion {objects.name(version)} failed its checks: {checks.describe_failed(version)}",
        )
    return None


def _model_exists(observed: Observed) -> Verdict | None:
    if observed.model is not None:
        return None
    return conditions.reconciling(
        "ModelNotFound", f"waits for Model {observed.spec.model} (spec.model): create it, even with an empty spec"
    )


def _running(observed: Observed, job: JobState, now: datetime) -> Plan:
    suspended = bool(objects.spec(job.job).get("suspend"))
    patch: tuple[Patch, ...] = ()
    if suspended != observed.spec.suspend:
        patch = (Patch(objects.ref(job.job), objects.uid(job.job), {"spec": {"suspend": observed.spec.suspend}}),)
    facts = status.known(observed) | {"attempts": status.attempts(observed)}
    if observed.spec.suspend:
        plan = _say(observed, now, conditions.ready("Suspended", _SUSPENDED), facts | {"phase": "Suspended"})
    else:
        facts |= {"phase": "Running", "progress": status.progress(observed, job, now)}
        plan = _say(observed, now, _running_verdict(job), facts)
    return Plan(patch=patch, status=plan.status, requeue_after=WAITING_LOOK_SECONDS)


def _running_verdict(job: JobState) -> Verdict:
    if job.waiting:
        return job.waiting.verdict(job.name)
    stage = f": {job.progress.stage}" if job.progress else ""
    return conditions.reconciling("Training", f"Job {job.name} is running{stage}")


def _wait_for_retry(observed: Observed, failed: list[JobState], wait: float, now: datetime) -> Plan:
    last = failed[-1].outcome
    if retry.is_charged(failed[-1]):
        number = sum(retry.is_charged(job) for job in failed)
        text = f"attempt {number} of {observed.spec.retries + 1} failed ({last.reason}: {last.message}); the next one starts by itself"
        verdict = conditions.reconciling("Retrying", text)
    else:
        verdict = conditions.stalled(last.reason, f"{last.message}; this is tried again by itself")
    facts = status.known(observed) | {
        "phase": "Pending",
        "attempts": status.attempts(observed),
        "retryAt": objects.format_time(retry.next_try(failed, now)),
    }
    return _say(observed, now, verdict, facts, requeue=wait)


def _fail(observed: Observed, failed: list[JobState], now: datetime) -> Plan:
    outcome = failed[-1].outcome
    tried = f"after {len(failed)} attempts: " if len(failed) > 1 else ""
    facts = status.known(observed) | {"attempts": status.attempts(observed), "completionTime": failed[-1].finished_at}
    return _end(observed, now, FAILED, outcome.reason or "TrainingFailed", f"{tried}{jobs.explain(outcome)}", facts)


def _register(observed: Observed, job: JobState, now: datetime) -> Plan:
    """The model is published; the Model's controller makes the version, which ends the run."""
    facts = status.result(observed, job)
    if facts is None:
        facts = status.known(observed) | {"attempts": status.attempts(observed)}
        text = f"Job {job.name} ended well but left no report: see its log, then start a new run"
        return _end(observed, now, FAILED, "ReportMissing", text, facts)
    if observed.model_version is None:
        verdict = conditions.reconciling(
            "Registering", f"waits for Model {observed.spec.model} to register the version"
        )
        return _say(observed, now, verdict, facts)
    version = objects.name(observed.model_version)
    text = _success_text(facts, observed, version)
    return _end(observed, now, SUCCEEDED, SUCCEEDED, text, facts | {"modelVersion": version})


def _success_text(facts: dict[str, Any], observed: Observed, version: str) -> str:
    metric = f", {facts['primary']}" if facts.get("primary") else ""
    source = objects.spec(observed.model_version or {}).get("source") or {}
    if observed.model_version is not None and source.get("trainingRunUid") != objects.uid(observed.object):
        return f"ModelVersion {version} was reproduced: the model is the same, so no new version was made{metric}"
    return f"ModelVersion {version} was registered{metric}"


def _end(observed: Observed, now: datetime, outcome: str, reason: str, message: str, facts: dict[str, Any]) -> Plan:
    """Status first, then the annotation: with the annotation alone the reason would be lost."""
    verdict = conditions.ready(reason, message) if outcome == SUCCEEDED else conditions.stalled(reason, message)
    facts = facts | {"phase": outcome, "completionTime": facts.get("completionTime") or objects.format_time(now)}
    built = conditions.build_status(observed.object, verdict, now, facts)
    mark = annotate(
        objects.ref(observed.object), objects.uid(observed.object), {ANNOTATION_FINISHED: outcome}, FINISHED_MANAGER
    )
    return Plan(status=built, status_first=True, patch=(mark,), requeue_after=_until_ttl(observed, facts, now))


def _after_the_end(observed: Observed, now: datetime) -> Plan:
    """Nothing runs again. A lost status is told anew from what is left; Jobs go when their time has come."""
    facts = status.known(observed)
    lacks_version = finished(observed) == SUCCEEDED and "modelVersion" not in facts
    if objects.condition(observed.object, conditions.READY) is None or (lacks_version and observed.model_version):
        return _recover(observed, now)
    wait = _until_ttl(observed, facts, now)
    built = _same_verdict(observed, now, facts)
    if wait is None or wait > 0:
        return Plan(status=built, requeue_after=wait)
    return Plan(status=built, delete=_everything(observed))


def _recover(observed: Observed, now: datetime) -> Plan:
    outcome = finished(observed)
    job = next((j for j in reversed(observed.jobs) if j.state == outcome), None)
    if outcome == SUCCEEDED:
        facts = (status.result(observed, job) if job else None) or status.known(observed)
        version = objects.name(observed.model_version) if observed.model_version else None
        text = _success_text(facts, observed, version or "of this run")
        return _end(observed, now, SUCCEEDED, SUCCEEDED, text, facts | {"modelVersion": version})
    if job is not None:
        return _fail(observed, [j for j in observed.jobs if j.state == "Failed"], now)
    return _end(
        observed,
        now,
        FAILED,
        "TrainingFailed",
        "it failed earlier; the reason was lost with its status",
        status.known(observed),
    )


def _same_verdict(observed: Observed, now: datetime, facts: dict[str, Any]) -> dict[str, Any]:
    """The sticky verdict, at the present generation (suspend and ttlAfterFinished may still change)."""
    told = objects.condition(observed.object, conditions.READY) or {}
    make = conditions.ready if told.get("status") == "True" else conditions.stalled
    return conditions.build_status(observed.object, make(told["reason"], told["message"]), now, facts)


def _until_ttl(observed: Observed, facts: dict[str, Any], now: datetime) -> float | None:
    """Seconds until the Jobs are removed; None when they stay or are gone."""
    left = observed.jobs or observed.job_children
    if observed.spec.ttl_after_finished is None or not left or not facts.get("completionTime"):
        return None
    end = objects.parse_time(facts["completionTime"]) + objects.parse_duration(observed.spec.ttl_after_finished)
    return (end - now).total_seconds()


def _everything(observed: Observed) -> tuple[tuple[Ref, str], ...]:
    every = (*(job.job for job in observed.jobs), *observed.job_children)
    return tuple((objects.ref(o), objects.uid(o)) for o in every)


def _say(
    observed: Observed, now: datetime, verdict: Verdict, facts: dict[str, Any], requeue: float | None = None
) -> Plan:
    return Plan(status=conditions.build_status(observed.object, verdict, now, facts), requeue_after=requeue)
