"""Keeps requests away from a candidate that does not answer, so that users do not wait for it in vain. No I/O."""

from __future__ import annotations

FAILURES = 5  # in a row
PAUSE_SECONDS = 1.0


class Breaker:
    """After `FAILURES` in a row nothing is let through for `PAUSE_SECONDS`, then one try, which decides.

    Times are of any monotonic clock, in seconds. Whoever is let through says how it ended, with one of three methods.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._closed_until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def lets_through(self, now: float) -> bool:
        if not self.is_open:
            return True
        if self._trying or now < self._closed_until:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._trying = False

    def failed(self, now: float) -> None:
        self._failures += 1
        self._trying = False
        self._closed_until = now + PAUSE_SECONDS

    def abandoned(self) -> None:
        """Nobody waited for the end: the next may try."""
        self._trying = False
