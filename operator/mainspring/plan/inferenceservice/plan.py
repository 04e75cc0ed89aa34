"""What an InferenceService does next: bring up the wanted revision beside the serving one, switch when it is ready.

Invariants: the Service selects pods that were seen ready, and the stable revision keeps its size until the switch is
written; a revision that cannot load never takes the place of one that works; an existing pod template is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.common import LABEL_REVISION, LABEL_SERVICE, SCALE_FIELD_MANAGER
from mainspring.api.v1alpha1.inferenceservice import LastFailure, Rollout
from mainspring.plan.common import conditions, objects
from mainspring.plan.common.conditions import Condition, Verdict
from mainspring.plan.common.objects import Manifest, Ref
from mainspring.plan.common.plan import NOTHING, Event, Patch, Plan
from mainspring.plan.inferenceservice import autoscaler, builders, exposure, scaling, target
from mainspring.plan.inferenceservice.observed import Failure, Observed, Revision

ROLLOUTS_MAX = 10
KEPT_REVISIONS = 2  # at zero replicas, for instant rollback
FAILURE_LOOK_SECONDS = 30


@dataclass(frozen=True)
class Situation:
    observed: Observed
    now: datetime
    size: int  # replicas of the serving revision
    stable: Revision | None  # what the Service selects
    wanted: str  # revision hash; empty when there is nothing to serve
    candidate: Revision | None  # the wanted revision, while it is not the stable one

    @property
    def stable_hash(self) -> str:
        return self.stable.hash if self.stable else ""


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    problem = target.problem(observed)
    situation = _situation(observed, now, blocked=problem is not None)
    if observed.spec.stop:
        return _stopped(situation)
    if problem is not None:
        return _nothing_to_serve(situation, problem)
    if situation.stable is not None and situation.stable.hash == situation.wanted:
        return _steady(situation)
    if situation.candidate is not None and situation.candidate.serves(situation.size):
        return _switch(situation, situation.candidate)
    return _roll_out(situation)


def _situation(observed: Observed, now: datetime, blocked: bool) -> Situation:
    version = observed.version
    wanted = "" if blocked or version is None else builders.revision_hash(observed, version)
    stable = observed.revisions.get(_stable_hash(observed))
    return Situation(
        observed=observed,
        now=now,
        size=scaling.stable_size(observed, stable, now),
        stable=stable,
        wanted=wanted,
        candidate=observed.revisions.get(wanted) if not stable or stable.hash != wanted else None,
    )


def _stable_hash(observed: Observed) -> str:
    """As status says; when that was lost, what the Service selects and was ready once."""
    told = objects.status(observed.object).get("stableRevision")
    if told or observed.service is None:
        return told or ""
    if objects.condition(observed.object, conditions.READY) is not None:
        return ""
    selected: str = (objects.spec(observed.service).get("selector") or {}).get(LABEL_REVISION, "")
    found = observed.revisions.get(selected)
    return selected if found is not None and found.ready > 0 else ""


def _children(situation: Situation, selects: str, *deployments: Manifest) -> tuple[Manifest, ...]:
    """In this order a Deployment comes as soon as all that could stop it is known, and long before its pods answer."""
    observed = situation.observed
    return (
        builders.build_account(observed),
        builders.build_service(observed, selects),
        *deployments,
        builders.build_network_policy(observed),
        builders.build_disruption_budget(observed),
        *autoscaler.children(observed, situation.stable),
        *exposure.children(observed),
    )


def _roll_out(situation: Situation) -> Plan:
    """The wanted revision comes up at full size beside the stable one."""
    observed, version = situation.observed, situation.observed.version
    assert version is not None
    missing = situation.candidate is None
    made = (builders.build_deployment(observed, version, situation.wanted, situation.size),) if missing else ()
    children = _children(situation, situation.stable_hash or situation.wanted, *made)
    sizes = {situation.wanted: situation.size, situation.stable_hash: situation.size}
    failure = situation.candidate.failure if situation.candidate else None
    verdict = _roll_out_verdict(situation, failure)
    facts = {"candidateVersion": objects.name(version), "candidateRevision": situation.wanted}
    if failure is not None:
        facts |= _failure_facts(situation, objects.name(version), situation.wanted, failure)
    return _plan(
        situation, verdict, facts, apply=children, sizes=sizes, requeue=FAILURE_LOOK_SECONDS if failure else None
    )


def _roll_out_verdict(situation: Situation, failure: Failure | None) -> Verdict:
    name = objects.name(situation.observed.version or {"metadata": {"name": ""}})
    if failure is not None:
        return _failed_verdict(situation, name, failure)
    ready = situation.candidate.ready if situation.candidate else 0
    text = f"ModelVersion {name} is starting: {ready} of {situation.size} pods ready"
    if situation.stable is None:
        return conditions.reconciling("Starting", text)
    serving = f"{text}; {situation.stable.version} serves until then"
    if _caused_by_spec(situation):
        return conditions.reconciling("RollingOut", serving)
    return conditions.ready("RollingOut", serving)


def _caused_by_spec(situation: Situation) -> bool:
    """A change of the spec, not a new champion, asked for this revision. After a failure nobody can tell: then as well."""
    service = situation.observed.object
    told = objects.condition(service, conditions.READY) or {}
    if told.get("observedGeneration") != objects.generation(service):
        return True
    return objects.condition_is(service, conditions.RECONCILING) or objects.condition_is(service, conditions.STALLED)


def _failed_verdict(situation: Situation, name: str, failure: Failure) -> Verdict:
    told = f"ModelVersion {name} cannot be served: {failure.message}{_still_serving(situation)}"
    return conditions.stalled(failure.reason, told)


def _still_serving(situation: Situation) -> str:
    stable = situation.stable
    return f"; {stable.version} keeps serving" if stable is not None and stable.ready > 0 else ""


def _failure_facts(situation: Situation, version: str, revision: str, failure: Failure) -> dict[str, Any]:
    """Told once for each revision and reason; the time is that of the first sight."""
    before = objects.status(situation.observed.object).get("lastFailure") or {}
    same = before.get("revision") == revision and before.get("reason") == failure.reason
    told = LastFailure(
        version=version,
        revision=revision,
        reason=failure.reason,
        message=failure.message,
        exit_code=failure.exit_code,
        time=before["time"] if same else objects.format_time(situation.now),
    )
    facts: dict[str, Any] = {"lastFailure": told.to_dict()}
    if not same and situation.stable is not None:
        facts["rollouts"] = _rollouts(situation, version, revision, "Failed", failure.reason)
    return facts


def _switch(situation: Situation, candidate: Revision) -> Plan:
    """The decision is written first; then the Service turns to the new pods, and the old ones go."""
    outcome = "RolledBack" if _served_before(situation, candidate.hash) else "Promoted"
    switched = Situation(**{**situation.__dict__, "stable": candidate, "candidate": None})
    facts = {
        "candidateVersion": None,
        "candidateRevision": None,
        "lastFailure": None,
        "rollouts": _rollouts(situation, candidate.version, candidate.hash, outcome, ""),
    }
    text = f"{objects.name(situation.observed.object)} now serves ModelVersion {candidate.version}"
    plan = _plan(
        switched,
        conditions.ready("Serving", _serving_text(switched)),
        facts,
        apply=_children(switched, candidate.hash),
        sizes={candidate.hash: situation.size},
        events=(Event(outcome, text),),
    )
    return Plan(**{**plan.__dict__, "status_first": True})


def _served_before(situation: Situation, revision: str) -> bool:
    rollouts = objects.status(situation.observed.object).get("rollouts") or ()
    return any(r["revision"] == revision and r["outcome"] in ("Promoted", "RolledBack") for r in rollouts)


def _rollouts(situation: Situation, version: str, revision: str, outcome: str, reason: str) -> list[dict[str, Any]]:
    entry = Rollout(
        version=version, revision=revision, outcome=outcome, reason=reason, time=objects.format_time(situation.now)
    )
    before = objects.status(situation.observed.object).get("rollouts") or []
    return [*before, entry.to_dict()][-ROLLOUTS_MAX:]


def _steady(situation: Situation) -> Plan:
    stable = situation.stable
    assert stable is not None
    sizes = {stable.hash: situation.size}
    facts: dict[str, Any] = {"candidateVersion": None, "candidateRevision": None}
    if stable.serves(situation.size):
        facts["lastFailure"] = None
        verdict = conditions.ready("Serving", _serving_text(situation))
        return _plan(situation, verdict, facts, apply=_children(situation, stable.hash), sizes=sizes)
    if stable.failure is not None and stable.ready == 0:
        facts |= _failure_facts(situation, stable.version, stable.hash, stable.failure)
        verdict = conditions.stalled(
            stable.failure.reason, f"ModelVersion {stable.version} cannot be served: {stable.failure.message}"
        )
    else:
        why = f": {stable.failure.message}" if stable.failure else ""
        text = f"{stable.ready} of {situation.size} pods of ModelVersion {stable.version} are ready{why}"
        # Nobody changed anything when an autoscaler did.
        by_itself = scaling.is_automatic(situation.observed) and stable.ready > 0
        verdict = conditions.ready("Scaling", text) if by_itself else conditions.reconciling("Scaling", text)
    return _plan(situation, verdict, facts, apply=_children(situation, stable.hash), sizes=sizes)


def _serving_text(situation: Situation) -> str:
    stable = situation.stable
    assert stable is not None
    return f"ModelVersion {stable.version} is served by {situation.size} pod{'s' if situation.size != 1 else ''}"


def _stopped(situation: Situation) -> Plan:
    verdict = conditions.ready("Stopped", "spec.stop is true: set it to false to serve again")
    return _plan(situation, verdict, {"candidateVersion": None, "candidateRevision": None}, sizes={})


def _nothing_to_serve(situation: Situation, problem: Verdict) -> Plan:
    """What serves goes on serving."""
    facts = {"candidateVersion": None, "candidateRevision": None}
    if situation.stable is None:
        return _plan(situation, problem, facts, sizes={})
    kept = Verdict(problem.state, problem.reason, f"{problem.message}{_still_serving(situation)}")
    return _plan(
        situation,
        kept,
        facts,
        apply=_children(situation, situation.stable.hash),
        sizes={situation.stable.hash: situation.size},
    )


def _plan(
    situation: Situation,
    verdict: Verdict,
    facts: dict[str, Any],
    *,
    sizes: dict[str, int],
    apply: tuple[Manifest, ...] = (),
    events: tuple[Event, ...] = (),
    requeue: float | None = None,
) -> Plan:
    observed, stable = situation.observed, situation.stable
    told = _told(situation) | scaling.facts(observed, stable, situation.now) | exposure.facts(observed) | facts
    extra = (_available(situation), *scaling.conditions(observed, stable), *exposure.conditions(observed))
    return Plan(
        apply=apply,
        patch=_scaling(situation, sizes),
        delete=(*_old_revisions(situation), *autoscaler.surplus(observed), *exposure.surplus(observed)),
        status=conditions.build_status(observed.object, verdict, situation.now, told, extra),
        events=events,
        requeue_after=exposure.look_again(observed, scaling.look_again(observed, requeue)),
    )


def _told(situation: Situation) -> dict[str, Any]:
    """Fields that are always told; what was known before stays."""
    observed, stable = situation.observed, situation.stable
    before = {k: v for k, v in objects.status(observed.object).items() if k not in ("conditions", "observedGeneration")}
    name, space = objects.name(observed.object), objects.namespace(observed.object)
    selector = {LABEL_SERVICE: name, **({LABEL_REVISION: stable.hash} if stable else {})}
    return before | {
        "url": f"http://{name}.{space}.svc:{builders.PORT}",
        "stableVersion": stable.version if stable else None,
        "stableRevision": stable.hash if stable else None,
        "replicas": int(objects.status(stable.deployment).get("replicas", 0)) if stable else 0,
        "readyReplicas": stable.ready if stable else 0,
        "selector": ",".join(f"{k}={v}" for k, v in sorted(selector.items())),
    }


def _available(situation: Situation) -> Condition:
    stable = situation.stable
    if stable is not None and stable.ready > 0 and not situation.observed.spec.stop:
        return Condition("Available", "True", "Serving", f"{stable.ready} pods of ModelVersion {stable.version} answer")
    return Condition("Available", "False", "NotServing", "no pod answers")


def _scaling(situation: Situation, sizes: dict[str, int]) -> tuple[Patch, ...]:
    """Replicas, and nothing else, of Deployments that exist; revisions that are not named go to zero."""
    patches = []
    for revision in situation.observed.revisions.values():
        wanted = sizes.get(revision.hash, 0)
        if revision.replicas != wanted and not (wanted and scaling.is_left_alone(situation.observed, revision)):
            target_ref, uid = objects.ref(revision.deployment), objects.uid(revision.deployment)
            patches.append(Patch(target_ref, uid, {"spec": {"replicas": wanted}}, SCALE_FIELD_MANAGER))
    return tuple(patches)


def _old_revisions(situation: Situation) -> tuple[tuple[Ref, str], ...]:
    """Revisions at zero beyond those kept for rollback, oldest first."""
    named = {situation.stable_hash, situation.wanted}
    old = [r for r in situation.observed.revisions.values() if r.hash not in named and r.replicas == 0]
    old.sort(key=lambda r: (r.created_at, r.hash))
    surplus = old[: max(len(old) - KEPT_REVISIONS, 0)]
    return tuple((objects.ref(r.deployment), objects.uid(r.deployment)) for r in surplus)
