"""How long to wait after a failure: exponential with jitter, so that many objects do not come back at once."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.2
LIMIT_SECONDS = 60.0


def delay(failures: int, first: float = FIRST_SECONDS, limit: float = LIMIT_SECONDS) -> float:
    """Seconds before try number `failures + 1`; between half and all of min(limit, first · 2^(failures-1))."""
    full = min(limit, first * 2.0 ** min(max(failures, 1) - 1, 30))
    return full * random.uniform(0.5, 1.0)
