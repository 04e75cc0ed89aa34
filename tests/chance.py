"""How hypothesis is asked: always the same examples, so that a failure comes back, and no time limit, which a busy machine breaks."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

OFTEN = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
SELDOM = settings(OFTEN, max_examples=25)
