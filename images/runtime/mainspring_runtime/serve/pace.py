"""How long a call of the model is going to take, judged by the last ones."""

from __future__ import annotations

KEPT = 0.9  # of the weight of what was seen, with each call
RISE = 1.05  # of the shortest call, with each call that took longer


class Pace:
    """Exponentially weighted seconds for each row, and never less than the shortest of the last calls.

    A call has a part that does not depend on its rows. Seconds for each row overrate large calls while small ones are
    seen, which makes them grow and be seen; the shortest call keeps small ones from being underrated.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._rows = 0.0
        self._shortest = 0.0

    def learn(self, rows: int, seconds: float) -> None:
        self._seconds = KEPT * self._seconds + seconds
        self._rows = KEPT * self._rows + rows
        self._shortest = min(seconds, RISE * self._shortest) if self._shortest else seconds

    def expect(self, rows: int) -> float:
        """Seconds; 0 as long as nothing is known."""
        if not self._rows:
            return 0.0
        return max(self._shortest, self._seconds / self._rows * rows)
