"""Where an InferenceService stands, and the parts of a plan that all its situations share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mainspring.api.splitting import Split
from mainspring.api.v1alpha1.common import LABEL_REVISION, LABEL_SERVICE, SCALE_FIELD_MANAGER
from mainspring.api.v1alpha1.inferenceservice import HeldBack, LastFailure, Rollout
from mainspring.api.v1alpha1.rollouts import Outcome, RolloutStatus
from mainspring.plan.common import conditions, objects
from mainspring.plan.common.conditions import Condition, Verdict
from mainspring.plan.common.objects import Manifest, Ref
from mainspring.plan.common.plan import Event, Patch, Plan
from mainspring.plan.inferenceservice import (
    autoscaler,
    builders,
    delivery,
    exposure,
    failures,
    scaling,
    settling,
    splits,
)
from mainspring.plan.inferenceservice.observed import Failure, Observed, Revision

ROLLOUTS_MAX = 10
KEPT_REVISIONS = 2  # at zero replicas, for instant rollback


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

    @property
    def name(self) -> str:
        return objects.name(self.observed.object)

    @property
    def held_back(self) -> HeldBack | None:
        """What was rolled back, as long as nothing else is wanted."""
        found = objects.status(self.observed.object).get("heldBack")
        known = HeldBack.model_validate(found) if found else None
        return known if known is not None and known.revision == self.wanted else None

    def asked(self, annotation: str) -> bool:
        """A person said so of the revision that is wanted now."""
        return bool(self.wanted) and objects.annotations_of(self.observed.object).get(annotation) == self.wanted


def situate(observed: Observed, now: datetime, blocked: bool) -> Situation:
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


def children(
    situation: Situation, selects: str | None, *deployments: Manifest, route_weight: int = 0
) -> tuple[Manifest, ...]:
    """`route_weight`: percent for the candidate where a Gateway splits. In this order a Deployment comes as soon as all that could stop it is known, and long before its pods answer."""
    observed = situation.observed
    return (
        builders.build_account(observed),
        builders.build_service(observed, selects),
        *deployments,
        builders.build_network_policy(observed),
        builders.build_disruption_budget(observed, selects),
        *autoscaler.children(observed, situation.stable),
        *exposure.children(observed, route_weight),
    )


def caused_by_spec(situation: Situation) -> bool:
    """A change of the spec, not a new champion, asked for this revision. After a failure nobody can tell: then as well."""
    service = situation.observed.object
    told = objects.condition(service, conditions.READY) or {}
    if told.get("observedGeneration") != objects.generation(service):
        return True
    return objects.condition_is(service, conditions.RECONCILING) or objects.condition_is(service, conditions.STALLED)


def failed_verdict(situation: Situation, name: str, failure: Failure) -> Verdict:
    told = f"ModelVersion {name} cannot be served: {failure.message}{still_serving(situation)}"
    return conditions.stalled(failure.reason, told)


def still_serving(situation: Situation) -> str:
    stable = situation.stable
    return f"; {stable.version} keeps serving" if stable is not None and stable.ready > 0 else ""


def last_failure(situation: Situation, version: str, revision: str, failure: Failure) -> dict[str, Any]:
    """`status.lastFailure`; its time is that of the first sight of this reason."""
    before = objects.status(situation.observed.object).get("lastFailure") or {}
    told = LastFailure(
        version=version,
        revision=revision,
        reason=failure.reason,
        message=failure.message,
        exit_code=failure.exit_code,
        time=objects.format_time(situation.now) if is_news(situation, revision, failure) else before["time"],
    )
    return told.to_dict()


def is_news(situation: Situation, revision: str, failure: Failure) -> bool:
    before = objects.status(situation.observed.object).get("lastFailure") or {}
    return (before.get("revision"), before.get("reason")) != (revision, failure.reason)


def failure_facts(situation: Situation, version: str, revision: str, failure: Failure) -> dict[str, Any]:
    """Told once for each revision and reason. A rollout has failed when no waiting mends it."""
    facts: dict[str, Any] = {"lastFailure": last_failure(situation, version, revision, failure)}
    if is_news(situation, revision, failure) and failure.reason not in failures.HEALS:
        facts["rollouts"] = ended(situation, version, revision, Outcome.FAILED, failure.reason)
    return facts


def served_before(situation: Situation, revision: str) -> bool:
    rollouts = objects.status(situation.observed.object).get("rollouts") or ()
    return any(r["revision"] == revision and r["outcome"] == Outcome.PROMOTED for r in rollouts)


def going_on(observed: Observed) -> RolloutStatus | None:
    found = objects.status(observed.object).get("rollout")
    return RolloutStatus.model_validate(found) if found else None


def ended(
    situation: Situation, version: str, revision: str, outcome: Outcome, reason: str = "", started_at: str | None = None
) -> list[dict[str, Any]]:
    """`status.rollouts` with one more."""
    entry = Rollout(
        version=version,
        revision=revision,
        outcome=outcome,
        reason=reason,
        started_at=started_at,
        time=objects.format_time(situation.now),
    )
    before = objects.status(situation.observed.object).get("rollouts") or []
    return _remembered([*before, entry.to_dict()])


def _remembered(rollouts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last ten; however many failed since, what was taken last and the one before stay: these come back at once."""
    taken = [place for place, entry in enumerate(rollouts) if entry["outcome"] == Outcome.PROMOTED][-KEPT_REVISIONS:]
    others = [place for place in range(len(rollouts)) if place not in taken][len(taken) - ROLLOUTS_MAX :]
    return [rollouts[place] for place in sorted((*taken, *others))]


def switch(situation: Situation, candidate: Revision) -> Plan:
    """The decision is written first; then the Service turns to the new pods, and the old ones go."""
    before = going_on(situation.observed)
    reason = delivery.SERVED_BEFORE if served_before(situation, candidate.hash) else ""
    started_at = before.started_at if before and before.revision == candidate.hash else None
    switched = replace(situation, stable=candidate, candidate=None)
    facts = {
        "lastFailure": None,
        "heldBack": None,
        "rollouts": ended(situation, candidate.version, candidate.hash, Outcome.PROMOTED, reason, started_at),
    }
    text = f"{situation.name} now serves ModelVersion {candidate.version}"
    return compose(
        switched,
        conditions.ready("Serving", serving_text(switched)),
        facts,
        apply=children(switched, candidate.hash),
        sizes={candidate.hash: situation.size},
        events=(Event(str(Outcome.PROMOTED), text),),
        status_first=True,
    )


def serving_text(situation: Situation) -> str:
    stable = situation.stable
    assert stable is not None
    return f"ModelVersion {stable.version} is served by {situation.size} pod{'s' if situation.size != 1 else ''}"


def compose(
    situation: Situation,
    verdict: Verdict,
    facts: dict[str, Any],
    *,
    sizes: dict[str, int],
    apply: tuple[Manifest, ...] = (),
    split: Split | None = None,
    events: tuple[Event, ...] = (),
    requeue: float | None = None,
    status_first: bool = False,
) -> Plan:
    """`split`: what the stable pods do with requests. Without `rollout` among the facts none goes on any more."""
    observed = situation.observed
    goes_on = _nothing_goes_on(situation, facts)
    told = (
        _told(situation)
        | scaling.facts(observed, situation.stable, situation.now)
        | exposure.facts(observed)
        | goes_on
        | facts
    )
    told |= _counted(objects.status(observed.object), told.get("rollouts") or [])
    extra = (
        _available(situation),
        *scaling.conditions(observed, situation.stable),
        *exposure.conditions(observed),
    )
    settles = settling.find(observed, told.get("rollouts") or (), situation.now)
    going = facts.get("rollout") or {}
    candidate = str(going.get("revision", ""))
    if settles.revision and not going.get("weight"):
        candidate = settles.revision
    return Plan(
        apply=(*splits.children(observed, split, candidate), *apply),
        patch=(*splits.patches(observed, situation.stable, split), *_scaling(situation, {**settles.pods, **sizes})),
        delete=(
            *splits.surplus(observed, candidate),
            *_old_revisions(situation),
            *autoscaler.surplus(observed),
            *exposure.surplus(observed),
        ),
        status=conditions.build_status(observed.object, verdict, situation.now, told, extra),
        status_first=status_first,
        events=events,
        requeue_after=_soonest(requeue, settles.seconds, scaling.look_again(observed), exposure.look_again(observed)),
    )


def _soonest(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)


def _nothing_goes_on(situation: Situation, facts: dict[str, Any]) -> dict[str, Any]:
    """A rollout that nobody goes on with was superseded: by another target, or since there is nothing to serve."""
    before = going_on(situation.observed)
    gone: dict[str, Any] = {"candidateVersion": None, "candidateRevision": None, "rollout": None}
    if situation.wanted and situation.held_back is None:
        gone["heldBack"] = None
    now = facts.get("rollout") or {}
    if before is not None and before.started_at != now.get("startedAt") and "rollouts" not in facts:
        gone["rollouts"] = ended(
            situation, before.version, before.revision, Outcome.SUPERSEDED, started_at=before.started_at
        )
    return gone


def _counted(before: Mapping[str, Any], rollouts: list[dict[str, Any]]) -> dict[str, Any]:
    """How many ended, ever: a plan adds one at most. What nobody counted so far begins with those that are remembered."""
    known = before.get("rollouts") or []
    counts = Counter(before.get("rolloutsEnded") or [str(entry["outcome"]) for entry in known])
    counts.update([str(rollouts[-1]["outcome"])] if rollouts and rollouts != known else [])
    return {"rolloutsEnded": dict(sorted(counts.items())) or None}


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
