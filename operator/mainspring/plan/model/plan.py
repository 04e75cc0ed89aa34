"""What a Model does next: register what was trained, decide who is champion, keep the history, remove what is surplus.

Invariants: a number is never given twice; the champion is written to status before anything follows it, and then
annotated on the version (`promoted-at`), from which an empty status is rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.common import ANNOTATION_PROMOTED_AT, ANNOTATION_REJECTED
from mainspring.api.v1alpha1.model import HISTORY_MAX, HistoryEntry, PromotionMode
from mainspring.plan.common import conditions, gates, objects
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.common.plan import NOTHING, Event, Patch, Plan, annotate
from mainspring.plan.model import builders, delivery
from mainspring.plan.model.observed import Observed

PROMOTION_MANAGER = "mainspring-promotion"
REJECTION_MANAGER = "mainspring-rejection"
CHAMPION = "champion"


@dataclass(frozen=True)
class Move:
    """The champion changes to `version`."""

    version: Object
    reason: str  # GatesPassed | Pinned
    actor: str


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    before = champion(observed)
    move, problem = _next_champion(observed, before)
    if move is not None:
        return _promote(observed, move, before, now)
    verdict = problem or _verdict(observed, before)
    status = conditions.build_status(observed.object, verdict, now, _facts(observed, before))
    made = _registrations(observed)
    told = tuple(Event("Registered", f"ModelVersion {m['metadata']['name']} was registered") for m in made)
    return Plan(
        apply=made,
        patch=_marks(observed, before),
        delete=_surplus(observed, before),
        status=status,
        events=told,
    )


def champion(observed: Observed) -> Object | None:
    """As status says; when that was lost, the version that was promoted last."""
    named = objects.status(observed.object).get("champion")
    if named:
        return _version(observed, named)
    promoted = [v for v in observed.versions if gates.promoted_at(v)]
    return max(promoted, key=lambda v: (gates.promoted_at(v), gates.number(v)), default=None)


def _version(observed: Observed, name: str) -> Object | None:
    return next((v for v in observed.versions if objects.name(v) == name), None)


def _next_champion(observed: Observed, before: Object | None) -> tuple[Move | None, Verdict | None]:
    """Who shall be champion, if it changes, or what stands against it."""
    pin = (observed.spec.aliases or {}).get(CHAMPION)
    if pin is not None:
        return _pinned(observed, pin, before)
    if observed.spec.promotion.mode == PromotionMode.MANUAL:
        return None, None
    found = candidate(observed, before)
    if found is None or not _may_be_promoted(observed, found, before):
        return None, None
    return Move(found, "GatesPassed", "mainspring"), None


def _pinned(observed: Observed, pin: str, before: Object | None) -> tuple[Move | None, Verdict | None]:
    version = _version(observed, pin)
    if version is None:
        text = f"spec.aliases.champion names {pin}, which is not a version of this Model: correct it or remove the pin"
        return None, conditions.stalled("PinnedVersionNotFound", text)
    if before is not None and objects.uid(before) == objects.uid(version):
        return None, None
    if not (gates.is_verified(version, observed.spec.verification) or gates.promoted_at(version)):
        text = f"spec.aliases.champion names {pin}, whose artifact is not verified yet; it becomes champion once it is"
        return None, conditions.reconciling("PinnedVersionNotVerified", text)
    return Move(version, "Pinned", "spec.aliases"), None


def candidate(observed: Observed, before: Object | None) -> Object | None:
    """The newest version after the champion that is neither rejected nor failed its gates.

    One that cannot be judged for the time being (its Job cannot run, the store does not answer) holds up nobody else.
    """
    floor = gates.number(before) if before is not None else _lost_number(observed)
    open_ = [v for v in observed.versions if gates.number(v) > floor and not _is_out(v)]
    moving = [v for v in open_ if not objects.condition_is(v, conditions.STALLED)]
    return next(reversed(moving or open_), None)


def _lost_number(observed: Observed) -> int:
    """The number of a champion that was deleted: the automation never goes back behind it."""
    named = str(objects.status(observed.object).get("champion", "")).rpartition("-v")[2]
    return int(named) if named.isdigit() else 0


def _is_out(version: Object) -> bool:
    decision = gates.decision(version)
    failed = decision is not None and not decision.passed
    return bool(gates.rejected(version)) or failed or objects.condition_is(version, "ArtifactVerified", "False")


def _may_be_promoted(observed: Observed, version: Object, before: Object | None) -> bool:
    """Verified, and passed the gates as they are now, against the champion of now."""
    decision = gates.decision(version)
    if decision is None or not decision.passed or not gates.is_verified(version, observed.spec.verification):
        return False
    asked = gates.asked_of(version, observed.spec.gates)
    rival = objects.name(before) if before is not None and gates.compares(asked) else ""
    return decision.gates == gates.hash_of(asked) and decision.champion == rival


def _promote(observed: Observed, move: Move, before: Object | None, now: datetime) -> Plan:
    """The decision goes to status first; annotations and followers come after it."""
    version = move.version
    entry = HistoryEntry(
        version=objects.name(version),
        from_=objects.name(before) if before is not None else None,
        to="Champion",
        reason=move.reason,
        actor=move.actor,
        time=objects.format_time(now),
    )
    status = objects.status(observed.object)
    facts = _facts(observed, version) | {
        "history": [*(status.get("history") or _rebuilt_history(observed)), entry.to_dict()][-HISTORY_MAX:],
        "promotions": int(status.get("promotions", 0)) + 1,
        "rollbacks": _rollbacks(observed) + delivery.goes_back(entry.to_dict()) or None,
        "lastLeadTimeSeconds": _lead_time(version, now),
    }
    text = f"ModelVersion {objects.name(version)} is champion" + (
        " (pinned by spec.aliases.champion)" if move.reason == "Pinned" else ""
    )
    built = conditions.build_status(observed.object, conditions.ready("Champion", text), now, facts)
    mark = _annotate(version, {ANNOTATION_PROMOTED_AT: objects.format_time(now)}, PROMOTION_MANAGER)
    return Plan(
        status=built,
        status_first=True,
        patch=(mark, *_rollback_marks(observed, move)),
        events=(Event("Promoted", text),),
    )


def _rollback_marks(observed: Observed, move: Move) -> tuple[Patch, ...]:
    """A pin in automatic mode means that the newer ones were bad: removing it must not bring them back."""
    if move.reason != "Pinned" or observed.spec.promotion.mode == PromotionMode.MANUAL:
        return ()
    newer = [v for v in observed.versions if gates.number(v) > gates.number(move.version) and not gates.rejected(v)]
    return tuple(_annotate(v, {ANNOTATION_REJECTED: "RolledBackByPin"}, REJECTION_MANAGER) for v in newer)


def _marks(observed: Observed, before: Object | None) -> tuple[Patch, ...]:
    """What a crash between status and annotations left undone."""
    last = _last_move(observed)
    if before is None or last is None or last["version"] != objects.name(before):
        return ()
    marks: tuple[Patch, ...] = ()
    if gates.promoted_at(before) != last["time"]:
        marks = (_annotate(before, {ANNOTATION_PROMOTED_AT: last["time"]}, PROMOTION_MANAGER),)
    if last["reason"] != "Pinned":
        return marks
    existed = [v for v in observed.versions if objects.created_at(v) <= objects.parse_time(last["time"])]
    then = Observed(**{**observed.__dict__, "versions": tuple(existed)})
    return (*marks, *_rollback_marks(then, Move(before, "Pinned", "spec.aliases")))


def _last_move(observed: Observed) -> dict[str, Any] | None:
    moves = [e for e in objects.status(observed.object).get("history") or () if e.get("to") == "Champion"]
    return moves[-1] if moves else None


def _annotate(version: Object, notes: dict[str, str], manager: str) -> Patch:
    return annotate(objects.ref(version), objects.uid(version), notes, manager)


def _registrations(observed: Observed) -> tuple[Manifest, ...]:
    """Numbers in the order in which the runs were made; POST is the decision, since a name can be taken only once."""
    first = last_number(observed) + 1
    return tuple(builders.build_version(observed, run, first + i) for i, run in enumerate(observed.unregistered))


def last_number(observed: Observed) -> int:
    told = int(objects.status(observed.object).get("lastNumber", 0))
    return max((told, *(gates.number(v) for v in observed.versions)))


def _facts(observed: Observed, now_champion: Object | None) -> dict[str, Any]:
    status = objects.status(observed.object)
    waiting = candidate(observed, now_champion)
    named = objects.name(now_champion) if now_champion is not None else status.get("champion")
    history = status.get("history") or _rebuilt_history(observed)
    return {
        "champion": named,
        "candidate": objects.name(waiting) if waiting is not None else None,
        "aliases": _aliases(observed, named),
        "versions": len(observed.versions),
        "lastNumber": last_number(observed) or None,
        "promotions": status.get("promotions", len(history)) or None,
        "rollbacks": _rollbacks(observed) or None,
        "rejected": sum(1 for v in observed.versions if _is_out(v)) or None,
        "lastLeadTimeSeconds": status.get("lastLeadTimeSeconds"),
        "history": history or None,
    }


def _rollbacks(observed: Observed) -> int:
    status = objects.status(observed.object)
    if "promotions" in status:
        return int(status.get("rollbacks", 0))
    return delivery.rollbacks(_rebuilt_history(observed))


def _rebuilt_history(observed: Observed) -> list[dict[str, Any]]:
    """The promotions that the versions remember, for a status that was lost."""
    promoted = sorted(
        (v for v in observed.versions if gates.promoted_at(v)), key=lambda v: (gates.promoted_at(v), gates.number(v))
    )
    entries = [
        HistoryEntry(
            version=objects.name(v), to="Champion", reason="Recovered", actor="mainspring", time=gates.promoted_at(v)
        )
        for v in promoted
    ]
    return [entry.to_dict() for entry in entries][-HISTORY_MAX:]


def _aliases(observed: Observed, named: str | None) -> dict[str, str] | None:
    known = {objects.name(v) for v in observed.versions}
    found = {alias: name for alias, name in (observed.spec.aliases or {}).items() if name in known}
    return found | ({CHAMPION: named} if named else {}) or None


def _lead_time(version: Object, now: datetime) -> int | None:
    started = (objects.spec(version).get("source") or {}).get("startedAt")
    return int((now - objects.parse_time(started)).total_seconds()) if started else None


def _verdict(observed: Observed, before: Object | None) -> Verdict:
    if missing := _dangling_alias(observed):
        return conditions.stalled("AliasNotFound", missing)
    if before is not None:
        return conditions.ready("Champion", f"ModelVersion {objects.name(before)} is champion{_also(observed, before)}")
    if gone := objects.status(observed.object).get("champion"):
        return conditions.stalled(
            "ChampionNotFound",
            f"the champion {gone} was deleted: restore it, or pin another with spec.aliases.champion",
        )
    if not observed.versions:
        return conditions.ready("NoVersions", "no version yet: a TrainingRun with spec.model of this name makes one")
    waiting = candidate(observed, None)
    if waiting is None:
        return conditions.ready("NoChampion", "no version passed the gates: kubectl describe modelversion says why")
    if observed.spec.promotion.mode == PromotionMode.MANUAL:
        return conditions.ready(
            "NoChampion",
            f"promotion.mode is Manual: set spec.aliases.champion to {objects.name(waiting)} to promote it",
        )
    return conditions.ready("NoChampion", f"{objects.name(waiting)} is being judged")


def _also(observed: Observed, before: Object) -> str:
    waiting = candidate(observed, before)
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


def _surplus(observed: Observed, before: Object | None) -> tuple[tuple[Ref, str], ...]:
    """Versions beyond `retain`, oldest first. Those in use and those that a user wrote stay."""
    used = observed.served | set((observed.spec.aliases or {}).values()) | _in_history(observed)
    used |= {objects.name(v) for v in (before, candidate(observed, before)) if v is not None}
    made = [v for v in observed.versions if "trainingRunUid" in (objects.spec(v).get("source") or {})]
    # The newest is never removed: its number would be lost with it.
    free = [v for v in made[:-1] if objects.name(v) not in used]
    excess = len(observed.versions) - observed.spec.retain
    return tuple((objects.ref(v), objects.uid(v)) for v in free[: max(excess, 0)])


def _in_history(observed: Observed) -> set[str]:
    """The champion before this one: rolling back must stay one line, also after a loss of status."""
    told = objects.status(observed.object).get("history") or _rebuilt_history(observed)
    moves = [e for e in told if e.get("to") == "Champion"]
    return {e["version"] for e in moves[-2:]}
