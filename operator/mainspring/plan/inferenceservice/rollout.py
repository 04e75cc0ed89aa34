"""A rollout: the candidate gets a growing share of requests, is judged by what it does with them, and is taken or not.

Its whole state is `status.rollout`, which is written before anything follows it: killed anywhere, an operator goes on
where the last one stood. Invariants: the share rises only when every stable pod applies the last one and all pods of the
candidate that the next one needs are ready; the stable revision keeps its size until the Service has turned; whatever
the candidate does, the stable pods answer in its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mainspring.api.splitting import Split
from mainspring.api.v1alpha1.common import ANNOTATION_ABORT, ANNOTATION_PROMOTE
from mainspring.api.v1alpha1.inferenceservice import HeldBack
from mainspring.api.v1alpha1.rollouts import (
    Cause,
    Judgement,
    OnInconclusive,
    Outcome,
    Phase,
    RolloutPolicy,
    RolloutStatus,
    SplitBy,
    Strategy,
)
from mainspring.plan.common import conditions, objects
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.plan import Event, Plan
from mainspring.plan.inferenceservice import analysis, builders, evidence, situations, splits
from mainspring.plan.inferenceservice.observed import Failure
from mainspring.plan.inferenceservice.situations import Situation

LOOK_SECONDS = 2.0  # between two looks, at least
LOOK_SECONDS_MAX = 15.0
LOOKS_A_STEP = 5
MIRROR_BESIDE = 20  # percent of the other requests, while steps go on, when answers have to be compared
# What can heal without another revision: the candidate is waited for, and the message says what for.
HEALS = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "QuotaExceeded",
        "PodSecurityViolation",
        "PodsRefused",
        "Unschedulable",
    }
)
JUDGED = (Phase.MIRRORING, Phase.STEPPING, Phase.HOLDING, Phase.AWAITING_PROMOTION, Phase.PROMOTING)


@dataclass(frozen=True)
class End:
    """The candidate is not taken."""

    outcome: Outcome
    reason: str
    message: str


def make_plan(situation: Situation, policy: RolloutPolicy) -> Plan:
    before = _begun(situation, policy)
    state = _judge(situation, policy, before)
    if end := _end(situation, policy, state):
        return _roll_back(situation, state, end)
    candidate = situation.candidate
    if state.phase is Phase.PROMOTING and candidate is not None and candidate.serves(situation.size):
        return situations.switch(situation, candidate)
    return _go_on(situation, policy, before, _next(situation, policy, state))


# ---- The state


def _begun(situation: Situation, policy: RolloutPolicy) -> RolloutStatus:
    """The one that goes on, or a new one: also when something else is wanted now, or the stable revision is another."""
    found = situations.going_on(situation.observed)
    stable, version = situation.stable, situation.observed.version
    assert stable is not None
    assert version is not None
    if found is not None and (found.revision, found.from_revision) == (situation.wanted, stable.hash):
        return found
    return RolloutStatus(
        version=objects.name(version),
        revision=situation.wanted,
        from_version=stable.version,
        from_revision=stable.hash,
        strategy=policy.strategy,
        cause=_cause(situation),
        split_by=_split_by(situation),
        same_model=stable.version == objects.name(version),
        phase=Phase.STARTING,
        started_at=objects.format_time(situation.now),
    )


def _split_by(situation: Situation) -> SplitBy:
    stable = situation.stable
    assert stable is not None
    if splits.can_split(stable) and not situation.observed.counts.unsuitable:
        return SplitBy.SERVERS
    return SplitBy.PODS


def _cause(situation: Situation) -> Cause:
    observed = situation.observed
    proving = objects.status(observed.model or {}).get("proving") or {}
    if observed.version is not None and proving.get("version") == objects.name(observed.version):
        return Cause.CANDIDATE
    return Cause.SPEC if situations.caused_by_spec(situation) else Cause.CHAMPION


def _judge(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    """With all that was counted so far."""
    counts = situation.observed.counts
    state = evidence.keep(state, counts)
    if state.phase not in JUDGED or state.forced:
        return state
    state = evidence.remember_labels(state, counts)
    found = analysis.judge(policy.analysis, evidence.gather(state, counts), state.metrics or (), state.same_model)
    if state.split_by is not SplitBy.SERVERS:  # nobody counts; Prometheus may know, and else there is but time
        asked = {query.name for query in policy.analysis.queries or ()}
        found = tuple(metric for metric in found if metric.name in asked)
    verdict = analysis.overall(found) if found else Judgement.PASSED
    return state.model_copy(update={"metrics": list(found) or None, "verdict": verdict})


def _evidence(state: RolloutStatus) -> float:
    """The part of it that is there; where nobody counts there is none to wait for."""
    return analysis.share(state.metrics or ()) if state.split_by is SplitBy.SERVERS else 1.0


# ---- The end


def _end(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> End | None:
    if situation.asked(ANNOTATION_ABORT):
        return End(Outcome.ABORTED, "Aborted", "a person aborted it")
    if failure := _broken(situation):
        outcome = Outcome.FAILED if state.phase is Phase.STARTING else Outcome.ROLLED_BACK
        return End(outcome, failure.reason, failure.message)
    if state.forced:
        return None
    if state.verdict is Judgement.FAILED:
        worst = next(m for m in state.metrics or () if m.verdict is Judgement.FAILED)
        return End(Outcome.ROLLED_BACK, worst.name, worst.message)
    return _out_of_time(situation, policy, state)


def _broken(situation: Situation) -> Failure | None:
    """What no waiting mends."""
    failure = situation.candidate.failure if situation.candidate else None
    return failure if failure is not None and failure.reason not in HEALS else None


def _out_of_time(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> End | None:
    now = situation.now
    if state.phase is Phase.STARTING and _over(state.started_at, policy.max_hold, now):
        why = situation.candidate.failure.message if situation.candidate and situation.candidate.failure else ""
        return End(
            Outcome.FAILED, "NotReady", f"its pods were not ready after {policy.max_hold}{': ' if why else ''}{why}"
        )
    if state.phase is Phase.HOLDING and _over(state.held_since, policy.max_hold, now):
        return End(Outcome.ROLLED_BACK, "HoldEnded", f"nobody decided within {policy.max_hold}: {_missing(state)}")
    if policy.on_inconclusive is OnInconclusive.ROLLBACK and _is_inconclusive(policy, state, now):
        return End(Outcome.ROLLED_BACK, "Inconclusive", f"after {policy.max_duration}: {_missing(state)}")
    return None


def _is_inconclusive(policy: RolloutPolicy, state: RolloutStatus, now: datetime) -> bool:
    waits = state.phase in (Phase.MIRRORING, Phase.STEPPING) and state.verdict is Judgement.INCONCLUSIVE
    return waits and _over(state.judged_since, policy.max_duration, now)


def _missing(state: RolloutStatus) -> str:
    """What there is too little of."""
    open_ = [m for m in state.metrics or () if m.verdict is Judgement.INCONCLUSIVE and analysis.is_judged(m)]
    told = "; ".join(
        f"{m.name}: {m.requests or 0} of {m.needed} needed" if m.needed else f"{m.name}: {m.message}" for m in open_
    )
    return told or ("everything passed so far" if state.metrics else "nothing was counted")


def _over(since: str | None, duration: str, now: datetime) -> bool:
    return since is not None and now >= objects.parse_time(since) + objects.parse_duration(duration)


# ---- The next state


def _next(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    if situation.asked(ANNOTATION_PROMOTE) and state.phase is not Phase.PROMOTING:
        return state.model_copy(update={"phase": Phase.PROMOTING, "forced": True})
    state = _applied(situation, state)
    if _is_inconclusive(policy, state, situation.now):
        return _undecided(situation, policy, state)
    match state.phase:
        case Phase.STARTING if _has(situation, state, _first_share(policy)):
            return _first(situation, policy, state)
        case Phase.MIRRORING if _mirrored_enough(situation, policy, state):
            return _after_mirroring(situation, policy, state)
        case Phase.STEPPING if _step_done(situation, policy, state):
            return _after_step(situation, policy, state)
        case Phase.HOLDING if state.verdict is Judgement.PASSED:
            return state.model_copy(update={"phase": Phase.STEPPING, "held_since": None})
    return state


def _applied(situation: Situation, state: RolloutStatus) -> RolloutStatus:
    """A step begins when every stable pod applies it."""
    if state.step_started_at is not None or state.phase is Phase.STARTING or _waits_for_pods(situation, state):
        return state
    return state.model_copy(update={"step_started_at": objects.format_time(situation.now)})


def _waits_for_pods(situation: Situation, state: RolloutStatus) -> list[str]:
    """Stable pods that answer requests and do not apply the split yet."""
    stable, said = situation.stable, situation.observed.counts.snapshots
    assert stable is not None
    if (split := _split(situation, state)) is None:
        return []
    wanted = splits.digest(split)
    ready = [objects.name(p) for p in stable.pods if objects.condition_is(p, "Ready") and not objects.is_deleting(p)]
    return [name for name in ready if name not in said or said[name].applied != wanted]


def _undecided(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    if policy.on_inconclusive is OnInconclusive.PROMOTE:
        return state.model_copy(update={"phase": Phase.PROMOTING})
    return state.model_copy(update={"phase": Phase.HOLDING, "held_since": objects.format_time(situation.now)})


def _first(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    """The candidate's pods are ready: its first requests."""
    judged = state.model_copy(
        update={"judged_since": objects.format_time(situation.now), "split_by": _split_by(situation)}
    )
    if policy.strategy is not Strategy.CANARY or _traffic_is_too_little(situation, policy, judged):
        return _enter(judged, Phase.MIRRORING, 0, 100)
    return _enter_step(judged, policy, 0)


def _traffic_is_too_little(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> bool:
    """With these shares of it the evidence would not come in time: then copies of all requests make it, without risk."""
    if state.split_by is not SplitBy.SERVERS:
        return False
    seconds = (situation.now - objects.parse_time(state.started_at)).total_seconds()
    rate = evidence.requests_per_second(evidence.gather(state, situation.observed.counts), seconds)
    needed = analysis.needed_at_least(policy.analysis) / len(policy.steps)
    shares = [step / 100 for step in policy.steps if step]
    if not shares:  # only who matches: nobody knows how many these will be
        return False
    return (
        rate == 0
        or sum(needed / (rate * s) for s in shares) > objects.parse_duration(policy.max_duration).total_seconds()
    )


def _enter(state: RolloutStatus, phase: Phase, weight: int, mirror: int) -> RolloutStatus:
    return state.model_copy(
        update={"phase": phase, "weight": weight, "mirror": mirror, "stage": state.stage + 1, "step_started_at": None}
    )


def _enter_step(state: RolloutStatus, policy: RolloutPolicy, step: int) -> RolloutStatus:
    entered = _enter(state, Phase.STEPPING, policy.steps[step], _mirror_beside(policy, state))
    return entered.model_copy(update={"step": step})


def _mirror_beside(policy: RolloutPolicy, state: RolloutStatus) -> int:
    if state.split_by is not SplitBy.SERVERS:
        return 0
    return MIRROR_BESIDE if state.same_model or policy.analysis.max_disagreement is not None else 0


def _mirrored_enough(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> bool:
    """Blue and green are compared for as long as a step; the others until there is evidence."""
    if not _over(state.step_started_at, policy.step_duration, situation.now):
        return False
    if policy.strategy is Strategy.BLUE_GREEN or state.split_by is not SplitBy.SERVERS:
        return True
    if policy.strategy is Strategy.SHADOW:
        return state.verdict is Judgement.PASSED
    return _evidence(state) >= 1


def _after_mirroring(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    if policy.strategy is not Strategy.CANARY:
        return _to_the_end(policy, state)
    return _enter_step(state, policy, 0) if _has(situation, state, _share(policy, state, 0)) else state


def _step_done(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> bool:
    """Its time is over, and its part of the evidence is there."""
    part = min((state.step + 1) / len(policy.steps), 1.0)
    enough = _evidence(state) >= part
    return enough and _over(state.step_started_at, policy.step_duration, situation.now)


def _after_step(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    following = state.step + 1
    if following >= len(policy.steps):  # also when steps were taken out meanwhile
        return _to_the_end(policy, state) if state.verdict is Judgement.PASSED else state
    if not _has(situation, state, _share(policy, state, following)):
        return state
    return _enter_step(state, policy, following)


def _to_the_end(policy: RolloutPolicy, state: RolloutStatus) -> RolloutStatus:
    return state.model_copy(update={"phase": Phase.AWAITING_PROMOTION if policy.manual else Phase.PROMOTING})


# ---- Pods


def _first_share(policy: RolloutPolicy) -> float:
    return policy.steps[0] / 100 if policy.strategy is Strategy.CANARY else 1.0


def _share(policy: RolloutPolicy, state: RolloutStatus, step: int) -> float:
    """Of all requests that the candidate gets in that step, copies included."""
    return _load(policy.steps[step], _mirror_beside(policy, state))


def _load(weight: int, mirror: int) -> float:
    return (weight + mirror * (100 - weight) / 100) / 100


def _pods(situation: Situation, state: RolloutStatus, share: float) -> int:
    """As many as this share of requests needs; where pods make the share, as many as come nearest to it."""
    if state.split_by is SplitBy.PODS and share < 1:
        return max(1, round(situation.size * share / (1 - share)))
    return max(1, math.ceil(situation.size * share))


def _has(situation: Situation, state: RolloutStatus, share: float) -> bool:
    """All pods that this share of requests needs are ready."""
    return situation.candidate is not None and situation.candidate.serves(_pods(situation, state, share))


def _wanted_pods(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> int:
    """Also those of the next step, once nothing but they are waited for."""
    if state.phase is Phase.STARTING:
        return _pods(situation, state, _first_share(policy))
    if state.phase is Phase.PROMOTING:
        return situation.size
    now = _load(state.weight, state.mirror)
    if state.phase is Phase.MIRRORING and policy.strategy is Strategy.CANARY:
        return _pods(situation, state, max(now, _share(policy, state, 0)))
    if state.phase is Phase.STEPPING and state.step + 1 < len(policy.steps) and _step_done(situation, policy, state):
        return _pods(situation, state, max(now, _share(policy, state, state.step + 1)))
    return _pods(situation, state, now)


# ---- Plans


def _split(situation: Situation, state: RolloutStatus) -> Split | None:
    """What the stable pods are told; None when they do not split."""
    if state.split_by is not SplitBy.SERVERS:
        return None
    policy = situation.observed.spec.rollout
    assert policy is not None
    judged = state.phase is not Phase.STARTING
    sticky = policy.sticky_by
    return Split(
        revision=state.from_revision,
        rollout=evidence.rollout_id(state),
        stage=state.stage,
        host=f"{builders.candidate_name(situation.name)}.{objects.namespace(situation.observed.object)}.svc",
        port=builders.PORT,
        candidate_revision=state.revision,
        weight=state.weight,
        mirror=state.mirror,
        match={k.lower(): v for k, v in policy.match.headers.items()} if policy.match and judged else {},
        sticky_header=sticky.header.lower() if sticky and sticky.header else None,
        sticky_cookie=sticky.cookie if sticky else None,
        tolerance=policy.analysis.tolerance,
    )


def _go_on(situation: Situation, policy: RolloutPolicy, before: RolloutStatus, state: RolloutStatus) -> Plan:
    observed, version, stable = situation.observed, situation.observed.version, situation.stable
    assert version is not None
    assert stable is not None
    pods = _wanted_pods(situation, policy, state)
    missing = situation.candidate is None
    made = (builders.build_deployment(observed, version, situation.wanted, pods),) if missing else ()
    state = state.model_copy(update={"message": _waits_for(situation, policy, state)[:256]})
    facts: dict[str, Any] = {
        "candidateVersion": state.version,
        "candidateRevision": state.revision,
        "heldBack": None,
        "rollout": state.to_dict(),
    }
    failure = situation.candidate.failure if situation.candidate else None
    if failure is not None:
        facts["lastFailure"] = situations.last_failure(situation, state.version, state.revision, failure)
    return situations.compose(
        situation,
        _verdict(situation, state, failure),
        facts,
        apply=situations.children(situation, _selected(state), *made),
        sizes={stable.hash: situation.size, situation.wanted: pods},
        split=_split(situation, state),
        events=_events(policy, before, state),
        requeue=_look_seconds(policy),
        status_first=True,
    )


def _selected(state: RolloutStatus) -> str | None:
    """The revision that the Service selects; None: both."""
    by_pods = state.split_by is SplitBy.PODS and state.weight and state.phase is not Phase.STARTING
    return None if by_pods else state.from_revision


def _look_seconds(policy: RolloutPolicy) -> float:
    step = objects.parse_duration(policy.step_duration) / timedelta(seconds=LOOKS_A_STEP)
    return min(max(step, LOOK_SECONDS), LOOK_SECONDS_MAX)


def _verdict(situation: Situation, state: RolloutStatus, failure: Failure | None) -> Verdict:
    if failure is not None:
        return situations.failed_verdict(situation, state.version, failure)
    text = f"ModelVersion {state.version}: {state.message}; {state.from_version} serves meanwhile"
    make = conditions.reconciling if state.cause is Cause.SPEC else conditions.ready
    return make("RollingOut", text)


def _waits_for(situation: Situation, policy: RolloutPolicy, state: RolloutStatus) -> str:
    candidate = situation.candidate
    ready = candidate.ready if candidate else 0
    match state.phase:
        case Phase.STARTING:
            return f"starting: {ready} of {_wanted_pods(situation, policy, state)} pods ready"
        case Phase.AWAITING_PROMOTION:
            return f"it passed with {state.weight} % of requests; kubectl mainspring promote takes it, abort does not"
        case Phase.HOLDING:
            return f"too little to judge by ({_missing(state)}); kubectl mainspring promote or abort decides"
        case Phase.PROMOTING:
            return f"it is taken: {ready} of {situation.size} pods ready"
    told = _not_applied(situation, state) or _missing(state)
    if state.phase is Phase.MIRRORING:
        return f"copies of {state.mirror} % of requests; {told}"
    return f"step {min(state.step + 1, len(policy.steps))} of {len(policy.steps)}, {state.weight} % of requests; {told}"


def _not_applied(situation: Situation, state: RolloutStatus) -> str:
    if state.step_started_at is not None:
        return ""
    waiting = _waits_for_pods(situation, state)
    return f"waits for {len(waiting)} stable pods to apply it ({waiting[0]})" if waiting else ""


def _events(policy: RolloutPolicy, before: RolloutStatus, state: RolloutStatus) -> tuple[Event, ...]:
    """One for each change of share or phase."""
    if (before.phase, before.weight, before.mirror) == (state.phase, state.weight, state.mirror):
        return ()
    text = f"ModelVersion {state.version} ({policy.strategy}): {state.phase}, {state.weight} % of requests"
    return (Event("RolloutStep", f"{text}, copies of {state.mirror} %" if state.mirror else text),)


def _roll_back(situation: Situation, state: RolloutStatus, end: End) -> Plan:
    """The stable pods keep all requests; the candidate's pods go; it is not tried again by itself."""
    stable = situation.stable
    assert stable is not None
    held = HeldBack(
        version=state.version,
        revision=state.revision,
        outcome=end.outcome,
        cause=state.cause,
        reason=end.reason,
        message=end.message[:2048],
        metrics=state.metrics,
        time=objects.format_time(situation.now),
    )
    reason = f"{end.reason}: {end.message}"[:256]
    facts: dict[str, Any] = {
        "heldBack": held.to_dict(),
        "rollouts": situations.ended(situation, state.version, state.revision, end.outcome, reason, state.started_at),
    }
    text = f"ModelVersion {state.version} was not taken: {reason}; {stable.version} serves"
    make = conditions.stalled if state.cause is Cause.SPEC else conditions.ready
    return situations.compose(
        situation,
        make(str(end.outcome), text),
        facts,
        apply=situations.children(situation, stable.hash),
        sizes={stable.hash: situation.size},
        events=(Event(str(end.outcome), text, "Warning"),),
        status_first=True,
    )
