"""What a Gateway may still send requests to when a rollout has ended.

Its data plane learns of a changed route a moment later than of pods that went: whoever takes away the candidate together
with its share lets requests fail. So Service and pods of the candidate stay a little longer than the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import exposure, splits
from mainspring.plan.inferenceservice.observed import Observed

SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Settling:
    revision: str = ""  # which stays
    pods: Mapping[str, int] = field(default_factory=dict)  # as many as it has, by revision
    seconds: float | None = None  # so long


NOTHING = Settling()


def find(observed: Observed, rollouts: Sequence[Mapping[str, Any]], now: datetime) -> Settling:
    """`rollouts`: as in status; what stays is the revision of the last one."""
    if not rollouts or observed.candidate_service is None or not _may_split(observed):
        return NOTHING
    last = rollouts[-1]
    left = SETTLE_SECONDS - (now - objects.parse_time(last["time"])).total_seconds()
    if left <= 0:
        return NOTHING
    found = observed.revisions.get(last["revision"])
    pods = {found.hash: found.replicas} if found is not None else {}
    return Settling(last["revision"], pods, min(left, SETTLE_SECONDS))


def _may_split(observed: Observed) -> bool:
    """The route has shares only where pods cannot split by themselves."""
    return exposure.splits(observed) and not all(map(splits.can_split, observed.revisions.values()))
