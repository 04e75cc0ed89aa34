"""Labels that come late, from a Dataset: Jobs join them to logged predictions, and their reports stand for feedback.

A join looks at the predictions of one version in one season, which ends `delay` ago, and at one DatasetVersion. All of
that is in the name of its Job: time goes on in steps of `every`, so whatever happens to the operator, each join is made
once, and doing it again gives the same counts. Nothing is added up over joins. A prediction that has no label yet counts
as unlabelled, and is looked at again by the next join; so a label that comes late counts when it comes.

One Job at a time. While joins fail, the last report stands, for at most a season; nothing else waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mainspring.api import contract
from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.common import (
    ANNOTATION_UNTIL,
    LABEL_DATASET_VERSION,
    LABEL_MODEL_VERSION,
    LABEL_NAME,
)
from mainspring.plan.common import jobs, objects
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.modelmonitor import joins
from mainspring.plan.modelmonitor.joins import Case, Join
from mainspring.plan.modelmonitor.observed import Labelled, Observed
from mainspring.plan.statistics.counts import WindowCounts

CONDITION = "LabelsJoined"


@dataclass(frozen=True)
class Joined:
    """Labels of a season. `covers`: predictions are known from its beginning on. `until` is when it ended."""

    counts: WindowCounts
    covers: bool
    until: str | None = None
    slices: tuple[contract.SliceCounts, ...] = ()


@dataclass(frozen=True)
class Labelling:
    """What there is, what is to be said of it, and what is to be made and removed."""

    joined: Joined | None = None
    conditions: tuple[Condition, ...] = ()
    apply: tuple[Manifest, ...] = ()
    delete: tuple[tuple[Ref, str], ...] = ()


def decide(observed: Observed, version: str, reference: Reference, now: datetime) -> Labelling:
    """`version` is the ModelVersion that is watched, `reference` its own."""
    wanted = observed.spec.performance.labels if observed.spec.performance else None
    if wanted is None:
        return Labelling(delete=_others(observed.labelled, keep=()))
    case = Case(observed, wanted, version, reference)
    if problem := next((found for rule in joins.PROBLEMS if (found := rule(case))), None):
        return Labelling(conditions=(Condition(CONDITION, "False", *problem),))
    return _decided(Join(case, _last_step(now, case.every) - case.delay))


def _last_step(now: datetime, every: timedelta) -> datetime:
    seconds = max(every.total_seconds(), 1.0)
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


def _decided(join: Join) -> Labelling:
    labelled = join.case.labelled
    running = next((job for job in labelled.jobs if job.state == "Running"), None)
    last = _last(join)
    kept = {join.name, *(job.name for job in (running, last, *_failed(join)[-1:]) if job)}
    joined = _joined(join, last) if last else None
    said = (_condition(join, running, last),)
    if running is not None and running.waiting and not join.is_kin(running.name):
        # It never began, and what it waits for has been put right, or is wanted no more.
        return Labelling(joined, said, delete=_others(labelled, kept - {running.name}))
    hopeless = any(job.permanent for job in _failed(join))
    known = any(job.name == join.name for job in labelled.jobs)
    made = () if running or known or hopeless else joins.build_job(join)
    return Labelling(joined, said, made, _others(labelled, kept))


def _failed(join: Join) -> list[JobState]:
    """Joins of the same data that failed, oldest first."""
    return [job for job in join.case.labelled.jobs if job.state == "Failed" and join.is_kin(job.name)]


def _last(join: Join) -> JobState | None:
    """The newest join of this version, unless its season has nothing to do with this one."""
    for job in reversed(join.case.labelled.jobs):
        about = objects.labels(job.job).get(LABEL_MODEL_VERSION)
        if job.state == "Succeeded" and about == join.case.version and _report(job) is not None:
            until = _until(job)
            return job if until is not None and until > join.since else None
    return None


def _until(job: JobState) -> datetime | None:
    noted = objects.annotations_of(job.job).get(ANNOTATION_UNTIL)
    return objects.parse_time(noted) if noted else None


def _report(job: JobState) -> contract.JoinReport | None:
    found: contract.JoinReport | None = jobs.parse_report(job, contract.JoinReport)
    return found


def _joined(join: Join, job: JobState) -> Joined | None:
    report, until = _report(job), _until(job)
    if report is None or until is None:
        return None
    counts = WindowCounts(
        digest=join.case.reference.digest,
        rows=report.rows,
        columns=[],
        predicted=report.predicted,
        feedback=report.feedback,
    )
    return Joined(counts, report.covers, objects.format_time(until), tuple(report.slices))


def _others(labelled: Labelled, keep: Collection[str]) -> tuple[tuple[Ref, str], ...]:
    """Jobs that ended or never began, with what they needed, other than these."""
    children = (child for child in labelled.job_children if objects.labels(child).get(LABEL_NAME) == joins.COMPONENT)
    every: Iterable[Object] = (*(job.job for job in labelled.jobs), *children)
    return tuple((objects.ref(o), objects.uid(o)) for o in every if objects.name(o) not in keep)


# ---- What a join came to


def _condition(join: Join, running: JobState | None, last: JobState | None) -> Condition:
    """A failure is told until a join of later data succeeds; a Job that runs changes nothing that is known."""
    failed = _failed(join)[-1:]
    if failed and (last is None or objects.created_at(failed[0].job) >= objects.created_at(last.job)):
        return Condition(CONDITION, "False", failed[0].outcome.reason or "JoinFailed", _failure(join, failed[0]))
    if running is not None and running.waiting is not None:
        return Condition(CONDITION, "False", running.waiting.reason, running.waiting.verdict(running.name).message)
    report = _report(last) if last else None
    if last is None or report is None:
        return Condition(
            CONDITION, "Unknown", "Joining", f"labels are being joined for the first time (Job {join.name})"
        )
    return _outcome(join, last, report)


def _failure(join: Join, job: JobState) -> str:
    again = f"with the next version of Dataset {join.case.wanted.dataset}" if job.permanent else "with the next join"
    return f"Job {job.name}: {jobs.explain(job.outcome)}; it is tried again {again}"


def _outcome(join: Join, job: JobState, report: contract.JoinReport) -> Condition:
    until = objects.annotations_of(job.job).get(ANNOTATION_UNTIL, "")
    season = f"the season up to {until}"
    if not report.rows:
        text = f"the payload log has no prediction of ModelVersion {join.case.version} in {season}"
        return Condition(CONDITION, "False", "LogEmpty", text)
    if report.without_key == report.rows:
        text = f"none of {report.rows} logged predictions has a key: callers must send the input {join.case.reference.key!r}"
        return Condition(CONDITION, "False", "NoKeySent", text)
    data = objects.labels(job.job).get(LABEL_DATASET_VERSION, "")
    text = (
        f"{report.feedback.rows} of {report.rows} logged predictions of {season} have a label in DatasetVersion {data}"
    )
    aside = {
        "without a key": report.without_key,
        "with several labels for their key": report.ambiguous,
        "with a label that is no class": report.feedback.refused,
    }
    notes = [f"{count} {what}" for what, count in aside.items() if count]
    if report.unreadable:
        notes.append(f"{report.unreadable} parts of the log cannot be read")
    notes += [f"slice {name!r} {why}" for name, why in join.case.refused_slices.items()]
    notes += [f"slice {why}" for why in report.refused_slices]
    return Condition(CONDITION, "True", "Joined", "; ".join([text, *notes]))
