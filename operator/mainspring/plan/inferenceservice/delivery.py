"""How changes of a service went, by `status.rollouts`: at most the last ten.

A change failed when its rollout was rolled back or aborted, or when what had served before came back next. What no pod
could load (`Failed`) and what something newer replaced on its way (`Superseded`) is no change: it was never taken, and
nobody found it bad.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from mainspring.api.v1alpha1.rollouts import Outcome

Entry = Mapping[str, Any]

SERVED_BEFORE = "ServedBefore"  # `reason` of what came back
NOT_TAKEN = (Outcome.ROLLED_BACK, Outcome.ABORTED)


def failure_ratio(rollouts: Iterable[Entry]) -> float | None:
    """Of all changes, the share that failed; None while there is none."""
    ended = [entry for entry in rollouts if entry["outcome"] in (*NOT_TAKEN, Outcome.PROMOTED)]
    changes = sum(not _came_back(entry) for entry in ended)
    taken_back = sum(_is_taken(entry) and _came_back(after) for entry, after in pairwise(ended))
    failed = sum(entry["outcome"] in NOT_TAKEN for entry in ended) + taken_back
    return failed / changes if changes else None


def _came_back(entry: Entry) -> bool:
    return entry["outcome"] == Outcome.PROMOTED and entry.get("reason") == SERVED_BEFORE


def _is_taken(entry: Entry) -> bool:
    return entry["outcome"] == Outcome.PROMOTED and not _came_back(entry)
