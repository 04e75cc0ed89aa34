"""Conditions as verdicts: an object is ready, in progress or stalled, and always says why.

The three follow kstatus: `Reconciling=True` means in progress, `Stalled=True` failed for good or until something outside
the spec heals; both are absent otherwise, and `Ready` is always there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
MESSAGE_MAX = 2000


@dataclass(frozen=True)
class Condition:
    type: str
    status: str
    reason: str
    message: str = ""


@dataclass(frozen=True)
class Verdict:
    """What `Ready`, `Reconciling` and `Stalled` shall say."""

    state: str  # Ready | Reconciling | Stalled
    reason: str
    message: str

    def conditions(self) -> tuple[Condition, ...]:
        if self.state == READY:
            return (Condition(READY, "True", self.reason, self.message),)
        ready = "False" if self.state == STALLED else "Unknown"
        return (
            Condition(READY, ready, self.reason, self.message),
            Condition(self.state, "True", self.reason, self.message),
        )


def ready(reason: str, message: str) -> Verdict:
    return Verdict(READY, reason, message)


def reconciling(reason: str, message: str) -> Verdict:
    return Verdict(RECONCILING, reason, message)


def stalled(reason: str, message: str) -> Verdict:
    return Verdict(STALLED, reason, message)


def build_conditions(
    owner: Object, verdict: Verdict, extra: Iterable[Condition], now: datetime
) -> list[dict[str, Any]]:
    """The list for `status.conditions`; a condition whose status did not change keeps its transition time."""
    wanted = (*verdict.conditions(), *extra)
    return [build_condition(owner, item, now) for item in wanted]


def build_condition(owner: Object, item: Condition, now: datetime) -> dict[str, Any]:
    """One of `status.conditions`; its transition time stays while its status does."""
    before = objects.condition(owner, item.type)
    unchanged = before is not None and before.get("status") == item.status
    return {
        "type": item.type,
        "status": item.status,
        "reason": item.reason,
        "message": item.message[:MESSAGE_MAX],
        "observedGeneration": objects.generation(owner),
        "lastTransitionTime": before["lastTransitionTime"] if before and unchanged else objects.format_time(now),
    }


def build_status(
    owner: Object, verdict: Verdict, now: datetime, fields: Mapping[str, Any], extra: Sequence[Condition] = ()
) -> dict[str, Any]:
    """The whole status: the kind's own fields (absent ones left out), observedGeneration and conditions."""
    return {
        **{key: value for key, value in fields.items() if value is not None},
        "observedGeneration": objects.generation(owner),
        "conditions": build_conditions(owner, verdict, extra, now),
    }


def kept(owner: Object, *types: str) -> tuple[Condition, ...]:
    """Conditions to carry over as they are."""
    found = (objects.condition(owner, kind) for kind in types)
    return tuple(Condition(c["type"], c["status"], c["reason"], c.get("message", "")) for c in found if c)
