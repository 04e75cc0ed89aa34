"""What an InferenceService does next: bring up the wanted revision beside the serving one, switch when it is ready.

Invariants: the Service selects pods that were seen ready, and the stable revision keeps its size until the switch is
written; a revision that cannot load never takes the place of one that works; an existing pod template is left alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.common import ANNOTATION_PROMOTE
from mainspring.api.v1alpha1.rollouts import Cause, Strategy
from mainspring.plan.common import conditions, objects
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.inferenceservice import builders, rollout, scaling, situations, target
from mainspring.plan.inferenceservice.observed import Failure, Observed
from mainspring.plan.inferenceservice.situations import Situation

FAILURE_LOOK_SECONDS = 30


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    problem = target.problem(observed)
    situation = situations.situate(observed, now, blocked=problem is not None)
    if observed.spec.stop:
        return _stopped(situation)
    if problem is not None:
        return _nothing_to_serve(situation, problem)
    if situation.stable is not None and situation.stable.hash == situation.wanted:
        return _steady(situation)
    policy = observed.spec.rollout
    if policy is None or policy.strategy is Strategy.IMMEDIATE or _at_once(situation):
        return _replace(situation)
    if situation.held_back is not None:
        return _held_back(situation)
    return _without_pods(situation) if situation.size == 0 else rollout.make_plan(situation, policy)


def _at_once(situation: Situation) -> bool:
    """There is nothing to compare with, nothing to protect, or nothing to prove."""
    stable, going = situation.stable, situations.going_on(situation.observed)
    if stable is None:
        return True
    if going is not None and going.revision == situation.wanted:
        return False
    if situation.asked(ANNOTATION_PROMOTE) or situations.served_before(situation, situation.wanted):
        return True
    # What was found bad stays out. And a stable revision whose pods only start (anew) is there in a moment.
    is_broken = stable.ready == 0 and stable.failure is not None
    return is_broken and situation.held_back is None and situation.size > 0


def _without_pods(situation: Situation) -> Plan:
    """As one that is stopped: nothing can be proved, so nothing is taken."""
    stable, version = situation.stable, situation.observed.version
    assert stable is not None
    assert version is not None
    text = f"no pods are asked for; ModelVersion {objects.name(version)} is rolled out instead of {stable.version} when there are some"
    return _steady(situation, conditions.ready("WithoutPods", text))


def _replace(situation: Situation) -> Plan:
    if situation.candidate is not None and situation.candidate.serves(situation.size):
        return situations.switch(situation, situation.candidate)
    return _roll_out(situation)


def _held_back(situation: Situation) -> Plan:
    """It was rolled back: what serves goes on, until something else is wanted or a person insists."""
    held, stable = situation.held_back, situation.stable
    assert held is not None
    assert stable is not None
    text = f"ModelVersion {held.version} ({held.revision}) was not taken: {held.reason}: {held.message}; {stable.version} keeps serving (kubectl mainspring promote takes it all the same)"
    make = conditions.stalled if held.cause is Cause.SPEC else conditions.ready
    return _steady(situation, make(str(held.outcome), text))


def _roll_out(situation: Situation) -> Plan:
    """The wanted revision comes up at full size beside the stable one."""
    observed, version = situation.observed, situation.observed.version
    assert version is not None
    missing = situation.candidate is None
    made = (builders.build_deployment(observed, version, situation.wanted, situation.size),) if missing else ()
    children = situations.children(situation, situation.stable_hash or situation.wanted, *made)
    sizes = {situation.wanted: situation.size, situation.stable_hash: situation.size}
    failure = situation.candidate.failure if situation.candidate else None
    verdict = _roll_out_verdict(situation, failure)
    facts = {"candidateVersion": objects.name(version), "candidateRevision": situation.wanted}
    if failure is not None:
        facts |= situations.failure_facts(situation, objects.name(version), situation.wanted, failure)
    return situations.compose(
        situation, verdict, facts, apply=children, sizes=sizes, requeue=FAILURE_LOOK_SECONDS if failure else None
    )


def _roll_out_verdict(situation: Situation, failure: Failure | None) -> Verdict:
    name = objects.name(situation.observed.version or {"metadata": {"name": ""}})
    if failure is not None:
        return situations.failed_verdict(situation, name, failure)
    ready = situation.candidate.ready if situation.candidate else 0
    text = f"ModelVersion {name} is starting: {ready} of {situation.size} pods ready"
    if situation.stable is None:
        return conditions.reconciling("Starting", text)
    serving = f"{text}; {situation.stable.version} serves until then"
    if situations.caused_by_spec(situation):
        return conditions.reconciling("RollingOut", serving)
    return conditions.ready("RollingOut", serving)


def _steady(situation: Situation, serving: Verdict | None = None) -> Plan:
    """`serving`: what is said when all is well."""
    stable = situation.stable
    assert stable is not None
    sizes = {stable.hash: situation.size}
    facts: dict[str, Any] = {}
    if stable.serves(situation.size):
        facts["lastFailure"] = None
        verdict = serving or conditions.ready("Serving", situations.serving_text(situation))
        return situations.compose(
            situation, verdict, facts, apply=situations.children(situation, stable.hash), sizes=sizes
        )
    if stable.failure is not None and stable.ready == 0:
        facts |= situations.failure_facts(situation, stable.version, stable.hash, stable.failure)
        verdict = conditions.stalled(
            stable.failure.reason, f"ModelVersion {stable.version} cannot be served: {stable.failure.message}"
        )
    else:
        why = f": {stable.failure.message}" if stable.failure else ""
        text = f"{stable.ready} of {situation.size} pods of ModelVersion {stable.version} are ready{why}"
        # Nobody changed anything when an autoscaler did.
        by_itself = scaling.is_automatic(situation.observed) and stable.ready > 0
        verdict = conditions.ready("Scaling", text) if by_itself else conditions.reconciling("Scaling", text)
    return situations.compose(situation, verdict, facts, apply=situations.children(situation, stable.hash), sizes=sizes)


def _stopped(situation: Situation) -> Plan:
    verdict = conditions.ready("Stopped", "spec.stop is true: set it to false to serve again")
    return situations.compose(situation, verdict, {}, sizes={})


def _nothing_to_serve(situation: Situation, problem: Verdict) -> Plan:
    """What serves goes on serving."""
    if situation.stable is None:
        return situations.compose(situation, problem, {}, sizes={})
    kept = Verdict(problem.state, problem.reason, f"{problem.message}{situations.still_serving(situation)}")
    return situations.compose(
        situation,
        kept,
        {},
        apply=situations.children(situation, situation.stable.hash),
        sizes={situation.stable.hash: situation.size},
    )
