"""What a rollout's next state is. The share of the candidate rises only when every stable pod applies the last one, its
time is over, its part of the evidence is there, and all pods of the candidate that the next share needs are ready."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.api.v1alpha1.common import ANNOTATION_PROMOTE
from mainspring.api.v1alpha1.rollouts import Judgement, OnInconclusive, Phase, SplitBy, Strategy
from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import analysis, evidence
from mainspring.plan.inferenceservice import course as courses
from mainspring.plan.inferenceservice.course import Course

MIRROR_ALL = 100


def step(course: Course) -> Course:
    if course.situation.asked(ANNOTATION_PROMOTE) and course.state.phase is not Phase.PROMOTING:
        return course.update(phase=Phase.PROMOTING, forced=True)
    course = _applied(course)
    if course.is_inconclusive:
        return _undecided(course)
    match course.state.phase:
        case Phase.STARTING if course.has_pods(course.first_load):
            return _first(course)
        case Phase.MIRRORING if _mirrored_enough(course):
            return _after_mirroring(course)
        case Phase.STEPPING if _is_step_done(course):
            return _after_step(course)
        case Phase.HOLDING if course.state.verdict is Judgement.PASSED:
            return course.update(phase=_held_in(course), held_since=None)
    return course


def pods_wanted(course: Course) -> int:
    """Of the candidate; also those of the next step, once nothing but they are waited for."""
    state, policy = course.state, course.policy
    if state.phase is Phase.STARTING:
        return course.pods(course.first_load)
    if state.phase is Phase.PROMOTING:
        return course.situation.size
    if state.phase is Phase.MIRRORING and policy.strategy is Strategy.CANARY:
        return course.pods(max(course.load, course.load_of_step(0)))
    if state.phase is Phase.STEPPING and state.step + 1 < len(policy.steps) and _is_step_done(course):
        return course.pods(max(course.load, course.load_of_step(state.step + 1)))
    return course.pods(course.load)


def _applied(course: Course) -> Course:
    """A step begins when every stable pod applies it."""
    if course.state.step_started_at is not None or course.state.phase is Phase.STARTING or course.waits_for:
        return course
    return course.update(step_started_at=course.now)


def _undecided(course: Course) -> Course:
    if course.policy.on_inconclusive is OnInconclusive.PROMOTE:
        return _to_the_end(course)
    return course.update(phase=Phase.HOLDING, held_since=course.now)


def _held_in(course: Course) -> Phase:
    """Where it was when the hold began: only there everything is copied."""
    return Phase.MIRRORING if course.state.mirror == MIRROR_ALL else Phase.STEPPING


def _first(course: Course) -> Course:
    """The candidate's pods are ready: its first requests."""
    judged = course.update(judged_since=course.now, split_by=courses.split_by(course.situation))
    if judged.policy.strategy is not Strategy.CANARY or _is_traffic_too_little(judged):
        return _enter(judged, Phase.MIRRORING, 0, MIRROR_ALL)
    return _enter_step(judged, 0)


def _is_traffic_too_little(course: Course) -> bool:
    """With these shares of it the evidence would not come in time: then copies of all requests make it, without risk."""
    shares = [percent / 100 for percent in course.policy.steps if percent]
    if course.state.split_by is not SplitBy.SERVERS or not shares:  # nobody knows how many there will be that match
        return False
    started = objects.parse_time(course.state.started_at)
    rate = evidence.requests_per_second(course.seen, (course.situation.now - started).total_seconds())
    needed = analysis.needed_at_least(course.policy.analysis) / len(course.policy.steps)
    limit = objects.parse_duration(course.policy.max_duration).total_seconds()
    return rate == 0 or sum(needed / (rate * share) for share in shares) > limit


def _enter(course: Course, phase: Phase, weight: int, mirror: int) -> Course:
    return course.update(phase=phase, weight=weight, mirror=mirror, stage=course.state.stage + 1, step_started_at=None)


def _enter_step(course: Course, number: int) -> Course:
    entered = _enter(course, Phase.STEPPING, course.policy.steps[number], course.mirror_beside)
    return entered.update(step=number)


def _mirrored_enough(course: Course) -> bool:
    """Blue and green are compared for as long as a step; the others until there is evidence."""
    if not course.is_over(course.state.step_started_at, course.policy.step_duration):
        return False
    if course.policy.strategy is Strategy.BLUE_GREEN or course.state.split_by is not SplitBy.SERVERS:
        return True
    if course.policy.strategy is Strategy.SHADOW:
        return course.state.verdict is Judgement.PASSED
    return course.share_of_evidence >= 1


def _after_mirroring(course: Course) -> Course:
    if course.policy.strategy is not Strategy.CANARY:
        return _to_the_end(course)
    return _enter_step(course, 0) if course.has_pods(course.load_of_step(0)) else course


def _is_step_done(course: Course) -> bool:
    """Its time is over, and its part of the evidence is there."""
    enough = course.share_of_evidence >= part_needed(course.policy.steps, course.state.step)
    return enough and course.is_over(course.state.step_started_at, course.policy.step_duration)


def part_needed(steps: Sequence[int], step: int) -> float:
    """Of the evidence, before the next step: as much as that one gives of the requests.

    Measured against equal parts, this is sooner done and no less sure: what is risked and what is known rise together.
    A step for those alone who match asks for none, since nobody knows how many these are.
    """
    if step < len(steps) and steps[step] == 0:
        return 0.0
    return steps[step + 1] / 100 if step + 1 < len(steps) else 1.0


def _after_step(course: Course) -> Course:
    following = course.state.step + 1
    if following >= len(course.policy.steps):  # also when steps were taken out meanwhile
        return _to_the_end(course) if course.state.verdict is Judgement.PASSED else course
    return _enter_step(course, following) if course.has_pods(course.load_of_step(following)) else course


def _to_the_end(course: Course) -> Course:
    return course.update(phase=Phase.AWAITING_PROMOTION if course.policy.manual else Phase.PROMOTING)
