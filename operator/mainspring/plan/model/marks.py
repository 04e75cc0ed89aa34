"""What a Model's decisions leave on its versions, as annotations: from these an empty status is rebuilt.

A decision is in status first, and its marks follow from what stands there. So one that a crash left out is made up for,
and what is owed to one decision comes before the next.
"""

from __future__ import annotations

from mainspring.api.v1alpha1.common import ANNOTATION_PROMOTED_AT, ANNOTATION_PROVING, ANNOTATION_REJECTED
from mainspring.api.v1alpha1.model import PromotionMode, Proving
from mainspring.plan.common import gates, objects
from mainspring.plan.common import proving as records
from mainspring.plan.common.objects import Object
from mainspring.plan.common.plan import Patch, annotate
from mainspring.plan.common.proving import Record
from mainspring.plan.model import candidates
from mainspring.plan.model.decisions import CHAMPION, PINNED, REJECTED, ROLLED_BACK_BY_PIN, ROLLED_OUT
from mainspring.plan.model.history import Entry
from mainspring.plan.model.observed import Observed

PROMOTION_MANAGER = "mainspring-promotion"
REJECTION_MANAGER = "mainspring-rejection"
PROVING_MANAGER = "mainspring-proving"


def owed(observed: Observed, before: Object | None, proving: Proving | None) -> tuple[Patch, ...]:
    """What a crash between status and annotations left undone; `proving` is what status says."""
    told = objects.status(observed.object).get("history") or []
    moves = [entry for entry in told if entry.get("to") == CHAMPION][-1:]
    current = [move for move in moves if before is not None and move["version"] == objects.name(before)]
    rejection = [entry for entry in told[-1:] if entry.get("to") == REJECTED]
    found = [patch for entry in (*current, *rejection) for patch in of_entry(observed, entry)]
    return (*found, *(of_proving(observed, proving) if proving else ()))


def of_entry(observed: Observed, entry: Entry) -> tuple[Patch, ...]:
    """Of a decision in the history."""
    version = candidates.version(observed, entry["version"])
    if version is None:
        return ()
    if entry["to"] == REJECTED:
        return (*_rejection(observed, version, entry), *_outcome(version, entry["reason"], entry.get("message", "")))
    promoted: tuple[Patch, ...] = ()
    if gates.promoted_at(version) != entry["time"]:
        promoted = (_annotate(version, ANNOTATION_PROMOTED_AT, entry["time"], PROMOTION_MANAGER),)
    if entry["reason"] == ROLLED_OUT:
        return (*promoted, *_outcome(version, records.PROMOTED, entry.get("message", "")))
    if entry["reason"] != PINNED or observed.spec.promotion.mode == PromotionMode.MANUAL:
        return promoted
    return (*promoted, *_reject_newer(observed, version, entry))


def of_proving(observed: Observed, proving: Proving) -> tuple[Patch, ...]:
    """The version remembers where it was sent, and when."""
    version = candidates.version(observed, proving.version)
    wanted = Record(proving.service, proving.since)
    if version is None or records.record(version) == wanted:
        return ()
    return (_annotate(version, ANNOTATION_PROVING, wanted.to_json(), PROVING_MANAGER),)


def _rejection(observed: Observed, version: Object, entry: Entry) -> tuple[Patch, ...]:
    if entry["reason"] == ROLLED_BACK_BY_PIN:
        pinned = candidates.version(observed, entry.get("from", ""))
        return _reject_newer(observed, pinned, entry) if pinned is not None else ()
    return () if gates.rejected(version) else (_reject(version, entry["reason"]),)


def _reject_newer(observed: Observed, pinned: Object, entry: Entry) -> tuple[Patch, ...]:
    """A pin in automatic mode means that the newer ones were bad: removing it must not bring them back."""
    then = objects.parse_time(entry["time"])
    existed = [v for v in observed.versions if objects.created_at(v) <= then]
    newer = [v for v in existed if gates.number(v) > gates.number(pinned) and not gates.rejected(v)]
    return tuple(_reject(v, ROLLED_BACK_BY_PIN) for v in newer)


def _reject(version: Object, why: str) -> Patch:
    return _annotate(version, ANNOTATION_REJECTED, why, REJECTION_MANAGER)


def _outcome(version: Object, outcome: str, message: str) -> tuple[Patch, ...]:
    """How the proving ended, in the record that was made when it began."""
    before = records.record(version)
    if before is None or before.outcome:
        return ()
    after = Record(before.service, before.since, outcome, message)
    return (_annotate(version, ANNOTATION_PROVING, after.to_json(), PROVING_MANAGER),)


def _annotate(version: Object, key: str, value: str, manager: str) -> Patch:
    return annotate(objects.ref(version), objects.uid(version), {key: value}, manager)
