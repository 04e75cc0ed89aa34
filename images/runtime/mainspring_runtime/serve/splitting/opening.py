"""Whether the way to a candidate is open: a Service leads to pods that are ready only a moment after they are. No I/O."""

from __future__ import annotations

from mainspring_runtime.serve.splitting import messages
from mainspring_runtime.serve.splitting.outgoing import Outcome, Received

SECONDS = 10.0  # since the first try; every node's proxy has learnt of the pods by then


class Opening:
    """Is told every outcome until the way is open. Times are of any monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._is_open = False
        self._since: float | None = None

    def excuses(self, outcome: Outcome, now: float) -> bool:
        """That nothing came back, or the answer of a stranger, says nothing of the candidate yet.

        Open from the first good answer on, or the first that says how long it took in the server: that is the candidate's.
        """
        if self._is_open:
            return False
        if isinstance(outcome, Received) and (outcome.status == 200 or messages.tells_seconds(outcome)):
            self._is_open = True
            return False
        self._since = now if self._since is None else self._since
        return now - self._since < SECONDS
