"""What a Model does next: register what was trained, decide who is champion, keep the history, remove what is surplus.

Invariants: a number is never given twice; a decision (who is champion, who is being proved, who is rejected) is written
to status before anything follows it, and then annotated on the version, from which an empty status is rebuilt.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.model import HistoryEntry, PromotionMode, Proving
from mainspring.plan.common import conditions, gates, objects
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.common.plan import NOTHING, Event, Plan
from mainspring.plan.common.proving import CHAMPION
from mainspring.plan.model import builders, candidates, decisions, delivery, history, marks, proving
from mainspring.plan.model.decisions import Decision, Move, Rejection, Sending
from mainspring.plan.model.observed import Observed


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    before = candidates.champion(observed)
    decision, problem = _decide(observed, before, now)
    owed = marks.owed(observed, before, proving.told(observed))
    if decision is not None:
        return Plan(patch=owed) if owed else _carry_out(observed, decision, before, now)
    # A pin that cannot be followed yet decides nothing, also not that nobody is to be proved any more.
    going = proving.told(observed) if problem else proving.still_going(observed, before)
    verdict = problem or _verdict(observed, before, going)
    status = conditions.build_status(observed.object, verdict, now, _facts(observed, before, going))
    made = _registrations(observed)
    told = tuple(Event("Registered", f"ModelVersion {m['metadata']['name']} was registered") for m in made)
    return Plan(
        apply=made,
        patch=owed,
        delete=_surplus(observed, before, going),
        status=status,
        events=told,
        requeue_after=_until_deadline(observed, going, now),
    )


def _decide(observed: Observed, before: Object | None, now: datetime) -> tuple[Decision | None, Verdict | None]:
    """What is to be decided now, if anything, or what stands against it."""
    pin = (observed.spec.aliases or {}).get(CHAMPION)
    if pin is not None:
        return _pinned(observed, pin, before)
    if proving.is_asked(observed):
        return proving.decide(observed, before, now), None
    if observed.spec.promotion.mode == PromotionMode.MANUAL:
        return None, None
    found = candidates.candidate(observed, before)
    if found is None or not candidates.may_be_promoted(observed, found, before):
        return None, None
    return Move(found, decisions.GATES_PASSED), None


def _pinned(observed: Observed, pin: str, before: Object | None) -> tuple[Decision | None, Verdict | None]:
    version = candidates.version(observed, pin)
    if version is None:
        text = f"spec.aliases.champion names {pin}, which is not a version of this Model: correct it or remove the pin"
        return None, conditions.stalled("PinnedVersionNotFound", text)
    if before is not None and objects.uid(before) == objects.uid(version):
        return proving.taken_back(observed), None
    if not (gates.is_verified(version, observed.spec.verification) or gates.promoted_at(version)):
        text = f"spec.aliases.champion names {pin}, whose artifact is not verified yet; it becomes champion once it is"
        return None, conditions.reconciling("PinnedVersionNotVerified", text)
    return Move(version, decisions.PINNED, decisions.PIN), None


def _carry_out(observed: Observed, decision: Decision, before: Object | None, now: datetime) -> Plan:
    """The decision goes to status first; annotations and followers come after it."""
    if isinstance(decision, Move):
        return _promote(observed, decision, before, now)
    if isinstance(decision, Rejection):
        return _reject(observed, decision, before, now)
    return _send(observed, decision, before, now)


def _promote(observed: Observed, move: Move, before: Object | None, now: datetime) -> Plan:
    entry = _entry(move, decisions.CHAMPION, before, now)
    facts = _facts(observed, move.version, None) | {
        "history": history.with_entry(observed, entry),
        "promotions": history.promotions(observed) + 1,
        "rollbacks": history.rollbacks(observed) + delivery.goes_back(entry.to_dict()) or None,
        "lastLeadTimeSeconds": _lead_time(move.version, now),
    }
    if move.reason == decisions.ROLLED_OUT:
        facts["lastProvingSeconds"] = _proving_seconds(observed, now)
    text = f"ModelVersion {objects.name(move.version)} is champion" + (
        " (pinned by spec.aliases.champion)" if move.reason == decisions.PINNED else ""
    )
    return Plan(
        status=conditions.build_status(observed.object, conditions.ready("Champion", text), now, facts),
        status_first=True,
        patch=marks.of_entry(observed, entry.to_dict()),
        events=(Event("Promoted", text),),
    )


def _reject(observed: Observed, rejection: Rejection, before: Object | None, now: datetime) -> Plan:
    entry = _entry(rejection, decisions.REJECTED, before, now)
    facts = _facts(observed, before, None) | {"history": history.with_entry(observed, entry)}
    if rejection.reason != decisions.ROLLED_BACK_BY_PIN:
        facts["rejectedByRollout"] = history.rejected_by_rollout(observed) + 1
        facts["lastProvingSeconds"] = _proving_seconds(observed, now)
    text = f"ModelVersion {entry.version} was rejected ({rejection.reason}): {rejection.message}"
    return Plan(
        status=conditions.build_status(observed.object, _verdict(observed, before, None), now, facts),
        status_first=True,
        patch=marks.of_entry(observed, entry.to_dict()),
        events=(Event("CandidateRejected", text, "Warning"),),
    )


def _send(observed: Observed, sending: Sending, before: Object | None, now: datetime) -> Plan:
    name = objects.name(sending.version)
    going = Proving(version=name, service=sending.service, since=objects.format_time(now))
    verdict, facts = _verdict(observed, before, going), _facts(observed, before, going)
    return Plan(
        status=conditions.build_status(observed.object, verdict, now, facts),
        status_first=True,
        patch=marks.of_proving(observed, going),
        requeue_after=_until_deadline(observed, going, now),
    )


def _entry(decision: Move | Rejection, to: str, before: Object | None, now: datetime) -> HistoryEntry:
    return HistoryEntry(
        version=objects.name(decision.version),
        from_=objects.name(before) if before is not None else None,
        to=to,
        reason=decision.reason,
        actor=decision.actor,
        message=decision.message or None,
        time=objects.format_time(now),
    )


def _proving_seconds(observed: Observed, now: datetime) -> int | None:
    found = proving.told(observed)
    return int((now - objects.parse_time(found.since)).total_seconds()) if found else None


def _until_deadline(observed: Observed, going: Proving | None, now: datetime) -> float | None:
    """None also when it is over: then only something else can bring a decision."""
    left = proving.seconds_left(observed, going, now) if going else 0.0
    return left if left > 0 else None


def _registrations(observed: Observed) -> tuple[Manifest, ...]:
    """Numbers in the order in which the runs were made; POST is the decision, since a name can be taken only once."""
    first = last_number(observed) + 1
    return tuple(builders.build_version(observed, run, first + i) for i, run in enumerate(observed.unregistered))


def last_number(observed: Observed) -> int:
    told = int(objects.status(observed.object).get("lastNumber", 0))
    return max((told, *(gates.number(v) for v in observed.versions)))


def _facts(observed: Observed, now_champion: Object | None, going: Proving | None) -> dict[str, Any]:
    status = objects.status(observed.object)
    waiting = candidates.candidate(observed, now_champion)
    named = objects.name(now_champion) if now_champion is not None else status.get("champion")
    return {
        "champion": named,
        "candidate": objects.name(waiting) if waiting is not None else None,
        "aliases": _aliases(observed, named),
        "proving": going.to_dict() if going else None,
        "versions": len(observed.versions),
        "lastNumber": last_number(observed) or None,
        "promotions": history.promotions(observed) or None,
        "rollbacks": history.rollbacks(observed) or None,
        "rejected": sum(1 for v in observed.versions if gates.is_out(v)) or None,
        "rejectedByRollout": history.rejected_by_rollout(observed) or None,
        "lastLeadTimeSeconds": status.get("lastLeadTimeSeconds"),
        "lastProvingSeconds": status.get("lastProvingSeconds"),
        "history": history.entries(observed) or None,
    }


def _aliases(observed: Observed, named: str | None) -> dict[str, str] | None:
    known = {objects.name(v) for v in observed.versions}
    found = {alias: name for alias, name in (observed.spec.aliases or {}).items() if name in known}
    return found | ({CHAMPION: named} if named else {}) or None


def _lead_time(version: Object, now: datetime) -> int | None:
    started = (objects.spec(version).get("source") or {}).get("startedAt")
    return int((now - objects.parse_time(started)).total_seconds()) if started else None


def _verdict(observed: Observed, before: Object | None, going: Proving | None) -> Verdict:
    if missing := _dangling_alias(observed):
        return conditions.stalled("AliasNotFound", missing)
    waiting = candidates.candidate(observed, before)
    if (hindered := _hindered(observed, waiting)) is not None:
        return hindered
    gone = objects.status(observed.object).get("champion") if before is None else None
    if gone:
        text = f"the champion {gone} was deleted: restore it, or pin another with spec.aliases.champion"
        return conditions.stalled("ChampionNotFound", text)
    where = f"ModelVersion {objects.name(before)} is champion" if before is not None else ""
    if going is not None:
        told = proving.describe(observed, going, waiting)
        return conditions.ready("Proving", f"{where}; {told}" if where else told)
    if before is not None:
        return conditions.ready("Champion", f"{where}{_also(observed, waiting)}")
    return _without_champion(observed, waiting)


def _hindered(observed: Observed, waiting: Object | None) -> Verdict | None:
    """The service that is to prove cannot; that it is stopped is told when somebody waits for it."""
    found = proving.obstacle(observed) if proving.is_asked(observed) else None
    return found if found is not None and (found.state != conditions.READY or waiting is not None) else None


def _without_champion(observed: Observed, waiting: Object | None) -> Verdict:
    if not observed.versions:
        return conditions.ready("NoVersions", "no version yet: a TrainingRun with spec.model of this name makes one")
    if waiting is None:
        return conditions.ready("NoChampion", "no version passed: kubectl describe modelversion says why")
    if observed.spec.promotion.mode == PromotionMode.MANUAL:
        return conditions.ready(
            "NoChampion",
            f"promotion.mode is Manual: set spec.aliases.champion to {objects.name(waiting)} to promote it",
        )
    return conditions.ready("NoChampion", f"{objects.name(waiting)} is being judged")


def _also(observed: Observed, waiting: Object | None) -> str:
    if waiting is None:
        return ""
    if observed.spec.promotion.mode == PromotionMode.MANUAL or CHAMPION in (observed.spec.aliases or {}):
        return f"; {objects.name(waiting)} waits for spec.aliases.champion"
    return f"; {objects.name(waiting)} is being judged"


def _dangling_alias(observed: Observed) -> str:
    known = {objects.name(v) for v in observed.versions}
    missing = [(alias, name) for alias, name in sorted((observed.spec.aliases or {}).items()) if name not in known]
    return (
        f"spec.aliases.{missing[0][0]} names {missing[0][1]}, which is not a version of this Model" if missing else ""
    )


def _surplus(observed: Observed, before: Object | None, going: Proving | None) -> tuple[tuple[Ref, str], ...]:
    """Versions beyond `retain`, oldest first. Those in use and those that a user wrote stay."""
    used = observed.served | set((observed.spec.aliases or {}).values()) | history.in_use(observed)
    used |= {objects.name(v) for v in (before, candidates.candidate(observed, before)) if v is not None}
    used |= {going.version} if going else set()
    made = [v for v in observed.versions if "trainingRunUid" in (objects.spec(v).get("source") or {})]
    # The newest is never removed: its number would be lost with it.
    free = [v for v in made[:-1] if objects.name(v) not in used]
    excess = len(observed.versions) - observed.spec.retain
    return tuple((objects.ref(v), objects.uid(v)) for v in free[: max(excess, 0)])
