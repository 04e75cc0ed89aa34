"""Which versions may become champion, and who is champion now."""

from __future__ import annotations

from mainspring.plan.common import conditions, gates, objects
from mainspring.plan.common.objects import Object
from mainspring.plan.model.observed import Observed


def champion(observed: Observed) -> Object | None:
    """As status says; when that was lost, the version that was promoted last."""
    named = objects.status(observed.object).get("champion")
    if named:
        return version(observed, named)
    promoted = [v for v in observed.versions if gates.promoted_at(v)]
    return max(promoted, key=lambda v: (gates.promoted_at(v), gates.number(v)), default=None)


def version(observed: Observed, name: str) -> Object | None:
    return next((v for v in observed.versions if objects.name(v) == name), None)


def candidate(observed: Observed, before: Object | None) -> Object | None:
    """The newest version after the champion that is neither rejected nor failed its gates.

    One that cannot be judged for the time being (its Job cannot run, the store does not answer) holds up nobody else.
    """
    open_ = still_open(observed, before)
    moving = [v for v in open_ if not objects.condition_is(v, conditions.STALLED)]
    return next(reversed(moving or open_), None)


def still_open(observed: Observed, before: Object | None) -> list[Object]:
    """Versions after the champion that nothing speaks against, by number."""
    floor = gates.number(before) if before is not None else _lost_number(observed)
    return [v for v in observed.versions if gates.number(v) > floor and not gates.is_out(v)]


def _lost_number(observed: Observed) -> int:
    """The number of a champion that was deleted: the automation never goes back behind it."""
    named = str(objects.status(observed.object).get("champion", "")).rpartition("-v")[2]
    return int(named) if named.isdigit() else 0


def may_be_promoted(observed: Observed, version: Object, before: Object | None) -> bool:
    """Verified, and passed the gates as they are now, against the champion of now."""
    decision = gates.decision(version)
    if decision is None or not decision.passed or not gates.is_verified(version, observed.spec.verification):
        return False
    asked = gates.asked_of(version, observed.spec.gates)
    rival = objects.name(before) if before is not None and gates.compares(asked) else ""
    return decision.gates == gates.hash_of(asked) and decision.champion == rival
