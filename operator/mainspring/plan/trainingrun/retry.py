"""When a failed attempt is followed by another.

Pods that the cluster took away never get here: Kubernetes replaces them within the same Job.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mainspring.api import contract
from mainspring.plan.common import objects
from mainspring.plan.common.jobs import JobState

FIRST_SECONDS = 10
LIMIT_SECONDS = 300
UNCHARGED_MAX = 24  # about two hours


def is_charged(job: JobState) -> bool:
    """Not when nothing was trained, since the key to sign with is none: that is found at once, and heals in its Secret."""
    return job.outcome.reason != contract.SIGNING_KEY_INVALID


def is_exhausted(failed: Sequence[JobState], retries: int) -> bool:
    """The last failure cannot be cured by trying again, or it was tried often enough."""
    charged = sum(is_charged(job) for job in failed)
    return bool(failed) and (failed[-1].permanent or charged > retries or len(failed) - charged >= UNCHARGED_MAX)


def next_try(failed: Sequence[JobState], now: datetime) -> datetime:
    """Exponential from the last failure; without jitter, since runs do not fail in step."""
    wait = min(FIRST_SECONDS * 2 ** (len(failed) - 1), LIMIT_SECONDS)
    ended = failed[-1].finished_at
    return (objects.parse_time(ended) if ended else now) + timedelta(seconds=wait)
