"""What a Gateway may still send requests to when a rollout has ended.

Its data plane learns of a changed route a moment later than of pods that went: whoever takes away the candidate together
with its share lets requests fail. So Service and pods of the candidate stay a little longer than the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import exposure, splits
from mainspring.plan.inferenceservice.observed import Observed

SETTLE_SECONDS = 10.0


def seconds_left(observed: Observed, rollouts: Sequence[Mapping[str, Any]], now: datetime) -> float:
    """0: nothing has to stay. `rollouts`: as in status; what stays is the revision of the last one."""
    if not rollouts or observed.candidate_service is None or not _may_split(observed):
        return 0.0
    since = (now - objects.parse_time(rollouts[-1]["time"])).total_seconds()
    return min(max(SETTLE_SECONDS - since, 0.0), SETTLE_SECONDS)


def _may_split(observed: Observed) -> bool:
    """The route has shares only where pods cannot split by themselves."""
    return exposure.splits(observed) and not all(map(splits.can_split, observed.revisions.values()))
