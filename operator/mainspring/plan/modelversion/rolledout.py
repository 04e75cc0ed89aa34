"""Whether the service that proves candidates rolled a version out: the condition `RolledOut`.

Only versions that were sent to such a service have it. How that ended is the Model's decision, which it notes on the
version; while there is none, the Model's status says whether the rollout goes on.
"""

from __future__ import annotations

from mainspring.plan.common import gates, objects, proving
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.proving import Record
from mainspring.plan.modelversion.observed import Observed

TYPE = "RolledOut"
NOT_PROVEN = "NotProven"


def conditions(observed: Observed) -> tuple[Condition, ...]:
    found = proving.record(observed.object)
    if found is None:
        return ()
    if found.outcome == proving.PROMOTED:
        return (Condition(TYPE, "True", found.outcome, _told(found)),)
    if found.outcome:
        return (Condition(TYPE, "False", found.outcome, _told(found)),)
    if _goes_on(observed, found):
        text = f"InferenceService {found.service} rolls it out, since {found.since}"
        return (Condition(TYPE, "Unknown", "Proving", text),)
    why = gates.rejected(observed.object) or NOT_PROVEN
    text = f"InferenceService {found.service} was to roll it out, since {found.since}; that ended without a verdict"
    return (Condition(TYPE, "False", why, text),)


def _goes_on(observed: Observed, found: Record) -> bool:
    told = objects.status(observed.model or {}).get("proving") or {}
    return (told.get("version"), told.get("since")) == (objects.name(observed.object), found.since)


def _told(found: Record) -> str:
    return found.message or f"that was what InferenceService {found.service} came to"
