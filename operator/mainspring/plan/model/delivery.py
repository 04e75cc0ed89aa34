"""How changes of the champion went, by the history in a Model's status: at most its last fifty moves.

A change is a move to a newer version. It failed when the next move went back to an older one. A candidate that its rollout
rolled back (promotion.provenBy), or a person aborted, is a change that failed, too: it had answered requests. A version
that its gates refused, or that no pod could load, is no change: it never reached anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mainspring.api.v1alpha1.rollouts import Outcome

Entry = Mapping[str, Any]

TRIED = (Outcome.ROLLED_BACK, Outcome.ABORTED)  # reasons of candidates that were rejected after they had answered


def goes_back(entry: Entry) -> bool:
    """It made an older version champion."""
    before = entry.get("from")
    return bool(before) and _number(entry["version"]) < _number(str(before))


def rollbacks(history: Iterable[Entry]) -> int:
    return sum(goes_back(entry) for entry in _moves(history))


def change_failure_ratio(history: Sequence[Entry]) -> float | None:
    """Of all changes, the share that was taken back; None while there is none."""
    moves = _moves(history)
    changes = sum(not goes_back(entry) for entry in moves)
    failed = sum(goes_back(after) and not goes_back(entry) for entry, after in pairwise(moves))
    tried = sum(entry.get("to") == "Rejected" and entry.get("reason") in TRIED for entry in history)
    return (failed + tried) / (changes + tried) if changes + tried else None


def _moves(history: Iterable[Entry]) -> Sequence[Entry]:
    """Each with the version that it came from: a history that was rebuilt does not tell, but is in order."""
    told = [entry for entry in history if entry.get("to") == "Champion"]
    before = [None, *(entry["version"] for entry in told)]
    return [{"from": origin, **entry} for origin, entry in zip(before, told, strict=False)]


def _number(version: str) -> int:
    """Versions are named `<model>-v<number>`."""
    return int(version.rpartition("-v")[2])
