"""A rollout: the candidate gets a growing share of requests, is judged by what it does with them, and is taken or not.

Its whole state is `status.rollout`, which is written before anything follows it: killed anywhere, an operator goes on
where the last one stood. Invariants: the stable revision keeps its size until the Service has turned; whatever the
candidate does, the stable pods answer in its place.
"""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.inferenceservice import HeldBack
from mainspring.api.v1alpha1.rollouts import Cause, Judgement, Phase, RolloutPolicy, RolloutStatus, SplitBy
from mainspring.plan.common import conditions
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.plan import Event, Plan
from mainspring.plan.inferenceservice import builders, judging, situations, stepping
from mainspring.plan.inferenceservice import course as courses
from mainspring.plan.inferenceservice.course import Course
from mainspring.plan.inferenceservice.judging import End
from mainspring.plan.inferenceservice.situations import Situation

MESSAGE_MAX = 256
END_MAX = 2048


def make_plan(situation: Situation, policy: RolloutPolicy) -> Plan:
    begun = courses.begin(situation, policy)
    course = judging.judge(begun)
    if end := judging.find_end(course):
        return _roll_back(course, end)
    candidate = situation.candidate
    if course.state.phase is Phase.PROMOTING and candidate is not None and candidate.serves(situation.size):
        return situations.switch(situation, candidate)
    return _go_on(begun.state, stepping.step(course))


def _go_on(before: RolloutStatus, course: Course) -> Plan:
    situation = course.situation
    version, pods = situation.observed.version, stepping.pods_wanted(course)
    assert version is not None
    missing = situation.candidate is None
    made = (builders.build_deployment(situation.observed, version, situation.wanted, pods),) if missing else ()
    course = course.update(message=_waits_for(course)[:MESSAGE_MAX])
    state = course.state
    facts: dict[str, Any] = {
        "candidateVersion": state.version,
        "candidateRevision": state.revision,
        "heldBack": None,
        "rollout": state.to_dict(),
    }
    if course.failure is not None:
        facts["lastFailure"] = situations.last_failure(situation, state.version, state.revision, course.failure)
    return situations.compose(
        situation,
        _verdict(course),
        facts,
        apply=situations.children(situation, _selected(state), *made, route_weight=_route_weight(state)),
        sizes={course.stable.hash: situation.size, situation.wanted: pods},
        split=course.split,
        events=_events(before, state),
        # Nothing tells when a pod applies what it was told: that is looked for more often than judged.
        requeue=courses.APPLYING_SECONDS if course.waits_for else course.look_seconds,
        status_first=True,
    )


def _selected(state: RolloutStatus) -> str | None:
    """The revision that the Service selects; None: both."""
    by_pods = state.split_by is SplitBy.PODS and state.weight and state.phase is not Phase.STARTING
    return None if by_pods else state.from_revision


def _route_weight(state: RolloutStatus) -> int:
    return state.weight if state.split_by is SplitBy.GATEWAY else 0


def _verdict(course: Course) -> Verdict:
    state = course.state
    if course.failure is not None:
        return situations.failed_verdict(course.situation, state.version, course.failure)
    text = f"ModelVersion {state.version}: {state.message}; {state.from_version} serves meanwhile"
    make = conditions.reconciling if state.cause is Cause.SPEC else conditions.ready
    return make("RollingOut", text)


def _waits_for(course: Course) -> str:
    state = course.state
    match state.phase:
        case Phase.STARTING:
            return f"starting: {course.ready} of {stepping.pods_wanted(course)} pods ready"
        case Phase.AWAITING_PROMOTION:
            how = "it passed" if state.verdict is Judgement.PASSED else "its time is over"
            return f"{how} with {state.weight} % of requests; kubectl mainspring promote takes it, abort does not"
        case Phase.HOLDING:
            return f"too little to judge by ({course.missing}); kubectl mainspring promote or abort decides"
        case Phase.PROMOTING:
            return f"it is taken: {course.ready} of {course.situation.size} pods ready"
    told = _not_applied(course) or course.situation.observed.counts.prometheus_problem or course.missing
    if state.phase is Phase.MIRRORING:
        return f"copies of {state.mirror} % of requests; {told}"
    steps = len(course.policy.steps)
    return f"step {min(state.step + 1, steps)} of {steps}, {state.weight} % of requests; {told}"


def _not_applied(course: Course) -> str:
    if course.state.step_started_at is not None:
        return ""
    waiting = course.waits_for
    return f"waits for {len(waiting)} stable pods to apply it ({waiting[0]})" if waiting else ""


def _events(before: RolloutStatus, state: RolloutStatus) -> tuple[Event, ...]:
    """One for each change of share or phase."""
    if (before.phase, before.weight, before.mirror) == (state.phase, state.weight, state.mirror):
        return ()
    text = f"ModelVersion {state.version} ({state.strategy}): {state.phase}, {state.weight} % of requests"
    return (Event("RolloutStep", f"{text}, copies of {state.mirror} %" if state.mirror else text),)


def _roll_back(course: Course, end: End) -> Plan:
    """The stable pods keep all requests; the candidate's pods go; it is not tried again by itself."""
    state, situation, stable = course.state, course.situation, course.stable
    held = HeldBack(
        version=state.version,
        revision=state.revision,
        outcome=end.outcome,
        cause=state.cause,
        reason=end.reason,
        message=end.message[:END_MAX],
        metrics=state.metrics,
        time=course.now,
    )
    reason = f"{end.reason}: {end.message}"
    rollouts = situations.ended(
        situation, state.version, state.revision, end.outcome, reason[:MESSAGE_MAX], state.started_at
    )
    text = f"ModelVersion {state.version} was not taken: {reason}; {stable.version} serves"
    make = conditions.stalled if state.cause is Cause.SPEC else conditions.ready
    return situations.compose(
        situation,
        make(str(end.outcome), text),
        {"heldBack": held.to_dict(), "rollouts": rollouts},
        apply=situations.children(situation, stable.hash),
        sizes={stable.hash: situation.size},
        events=(Event(f"Rollout{end.outcome}", text, "Warning"),),  # beside that of the verdict, which may be Normal
        status_first=True,
    )
