"""What a rollout's counts say of its candidate, and when it is not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mainspring.api.v1alpha1.common import ANNOTATION_ABORT
from mainspring.api.v1alpha1.rollouts import Judgement, MetricVerdict, OnInconclusive, Outcome, Phase, SplitBy
from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import analysis, evidence, failures
from mainspring.plan.inferenceservice.course import JUDGED, Course


@dataclass(frozen=True)
class End:
    """The candidate is not taken."""

    outcome: Outcome
    reason: str
    message: str


def judge(course: Course) -> Course:
    """With all that was counted so far."""
    counts = course.situation.observed.counts
    kept = replace(course, state=evidence.keep(course.state, counts))
    if kept.state.phase not in JUDGED or kept.state.forced:
        return kept
    kept = replace(kept, state=evidence.remember_labels(kept.state, counts))
    due = _is_due(kept)
    found = _metrics(kept, kept.seen if due else replace(kept.seen, readings={}))
    verdict = analysis.overall(found) if found else Judgement.PASSED
    before = kept.state.metrics or []
    if list(found) == before and verdict is kept.state.verdict:
        return kept
    if not due and _decided(found) == _decided(before):
        return kept
    return kept.update(metrics=list(found) or None, verdict=verdict, judged_at=kept.now)


def _metrics(course: Course, seen: analysis.Evidence) -> tuple[MetricVerdict, ...]:
    state, asked = course.state, course.policy.analysis
    found = analysis.judge(asked, seen, state.metrics or (), state.same_model)
    if state.split_by is SplitBy.SERVERS:
        return found
    # Nobody counts; Prometheus may know, and else there is but time.
    queries = {query.name for query in asked.queries or ()}
    return tuple(metric for metric in found if metric.name in queries)


def _is_due(course: Course) -> bool:
    """Numbers alone wait, and queries do. Counts move all the time, and each verdict is a write of status, which is an
    event that calls for the next look: without a pause there would be no end of it, and a query would be out of bounds
    twice within one moment."""
    before = course.state.judged_at
    if before is None:
        return True
    since = (course.situation.now - objects.parse_time(before)).total_seconds()
    return not 0 <= since < course.look_seconds  # a clock that was put back must not stop the judging


def _decided(metrics: Sequence[MetricVerdict]) -> list[tuple[str, Judgement, int | None]]:
    """What does not wait: verdicts, and looks, since what one of them spends is spent."""
    return [(metric.name, metric.verdict, metric.looks) for metric in metrics]


def find_end(course: Course) -> End | None:
    state = course.state
    if course.situation.asked(ANNOTATION_ABORT):
        return End(Outcome.ABORTED, "Aborted", "a person aborted it")
    if course.failure is not None and course.failure.reason not in failures.HEALS:
        outcome = Outcome.FAILED if state.phase is Phase.STARTING else Outcome.ROLLED_BACK
        return End(outcome, course.failure.reason, course.failure.message)
    if state.forced:
        return None
    if state.verdict is Judgement.FAILED:
        worst = next(m for m in state.metrics or () if m.verdict is Judgement.FAILED)
        return End(Outcome.ROLLED_BACK, worst.name, worst.message)
    return _out_of_time(course)


def _out_of_time(course: Course) -> End | None:
    state, policy = course.state, course.policy
    why = f": {course.failure.message}" if course.failure else ""
    if state.phase is Phase.STARTING and course.is_over(state.started_at, policy.max_hold):
        return End(Outcome.FAILED, "NotReady", f"its pods were not ready after {policy.max_hold}{why}")
    if _waited_too_long(course):
        text = f"the pods for more requests were still not ready after {policy.max_hold}{why}"
        return End(Outcome.ROLLED_BACK, "NotReady", text)
    if state.phase is Phase.HOLDING and course.is_over(state.held_since, policy.max_hold):
        return End(Outcome.ROLLED_BACK, "HoldEnded", f"nobody decided within {policy.max_hold}: {course.missing}")
    if policy.on_inconclusive is OnInconclusive.ROLLBACK and course.is_inconclusive:
        return End(Outcome.ROLLED_BACK, "Inconclusive", f"after {policy.max_duration}: {course.missing}")
    return None


def _waited_too_long(course: Course) -> bool:
    """For evidence a step waits no longer than `maxDuration`, and then it holds: what is left to wait for is pods."""
    policy, waits = course.policy, (Phase.MIRRORING, Phase.STEPPING, Phase.PROMOTING)
    longest = (policy.step_duration, policy.max_duration, policy.max_hold)
    return course.state.phase in waits and course.is_over(course.state.step_started_at, *longest)
