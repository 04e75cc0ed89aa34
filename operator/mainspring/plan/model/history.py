"""What a Model remembers of its decisions: the history in status, and from what it is rebuilt when that was lost."""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.model import HISTORY_MAX, HistoryEntry
from mainspring.plan.common import gates, objects
from mainspring.plan.common import proving as records
from mainspring.plan.model import delivery
from mainspring.plan.model.decisions import CHAMPION, OPERATOR, ROLLED_BACK_BY_PIN
from mainspring.plan.model.observed import Observed

Entry = dict[str, Any]


def entries(observed: Observed) -> list[Entry]:
    """The last fifty decisions, oldest first."""
    return objects.status(observed.object).get("history") or _rebuilt(observed)


def moves(observed: Observed) -> list[Entry]:
    return [entry for entry in entries(observed) if entry.get("to") == CHAMPION]


def with_entry(observed: Observed, entry: HistoryEntry) -> list[Entry]:
    return [*entries(observed), entry.to_dict()][-HISTORY_MAX:]


def promotions(observed: Observed) -> int:
    return int(objects.status(observed.object).get("promotions", len(moves(observed))))


def rollbacks(observed: Observed) -> int:
    status = objects.status(observed.object)
    if "promotions" in status:
        return int(status.get("rollbacks", 0))
    return delivery.rollbacks(_rebuilt(observed))


def rejected_by_rollout(observed: Observed) -> int:
    status = objects.status(observed.object)
    if "rejectedByRollout" in status:
        return int(status["rejectedByRollout"])
    found = [r for v in observed.versions if (r := records.record(v)) is not None]
    return sum(r.outcome not in ("", records.PROMOTED, ROLLED_BACK_BY_PIN) for r in found)


def in_use(observed: Observed) -> set[str]:
    """The champion and the one before it: rolling back must stay one line, also after a loss of status."""
    return {entry["version"] for entry in moves(observed)[-2:]}


def _rebuilt(observed: Observed) -> list[Entry]:
    """The promotions that the versions remember."""
    promoted = sorted(
        (v for v in observed.versions if gates.promoted_at(v)), key=lambda v: (gates.promoted_at(v), gates.number(v))
    )
    made = [
        HistoryEntry(
            version=objects.name(v), to=CHAMPION, reason="Recovered", actor=OPERATOR, time=gates.promoted_at(v)
        )
        for v in promoted
    ]
    return [entry.to_dict() for entry in made][-HISTORY_MAX:]
