"""Whether the way to a candidate is open: a Service leads to pods that are ready only a moment after they are. No I/O."""

from __future__ import annotations

from mainspring_runtime.serve.splitting.outgoing import Failure

SECONDS = 10.0  # since the first try; every node's proxy has learnt of the pods by then


class Opening:
    """`is_open` from the first answer on. Times are of any monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.is_open = False
        self._since: float | None = None

    def excuses(self, failure: Failure, now: float) -> bool:
        """That the candidate could not be reached says nothing of it yet: it is no error, and nothing was answered."""
        if self._since is None:
            self._since = now
        return failure is Failure.UNREACHABLE and not self.is_open and now - self._since < SECONDS
