"""How long a candidate may take before the stable pod answers itself: long enough to be judged, too short to hurt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from mainspring_runtime.serve.metrics import Distribution
from mainspring_runtime.serve.settings import LAST_SECONDS

FACTOR = 2.0  # of the stable revision's p99
LEAST_SECONDS = 0.1
MOST = 0.5  # of the request timeout: the rest is for the stable pod's own answer
QUANTILE = 0.99
ENOUGH = 200  # requests to know it from


class Budget:
    """`seconds` for each request: twice the p99 of the pod's own last answers, at least 0.1 s, at most half the request timeout."""

    def __init__(self, answers: Distribution, request_seconds: float) -> None:
        """`answers` is counted in by others; what a p99 is known to is the width of its buckets."""
        self._answers = answers
        self._before: Sequence[int] = [0] * len(answers.counts)
        self._most = MOST * request_seconds
        self.seconds = self._most

    def renew(self) -> None:
        """Look at the answers since the last time, if these are enough."""
        counts = [now - before for now, before in zip(self._answers.counts, self._before, strict=True)]
        if sum(counts) < ENOUGH:
            return
        self._before = self._answers.counts.copy()
        self.seconds = min(max(FACTOR * _quantile(counts, self._answers.bounds), LEAST_SECONDS), self._most)

    def hurry(self) -> None:
        """While the pod drains: its own answer has to come before the process ends."""
        self._most = min(self._most, LAST_SECONDS)
        self.seconds = min(self.seconds, self._most)


def _quantile(counts: Sequence[int], bounds: Sequence[float]) -> float:
    """The upper bound of the bucket that has it."""
    wanted = QUANTILE * sum(counts)
    place = next(place for place, seen in enumerate(accumulate(counts)) if seen >= wanted)
    return bounds[place] if place < len(bounds) else math.inf
