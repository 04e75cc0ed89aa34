"""Copies of requests for the candidate, whose answers nobody gets: they are compared with those that callers got.

A copy is made after the stable answer was sent, and there are never more than `MOST` under way nor more than `MOST_BYTES`
of them: what is beyond that is counted and left out, so that a slow candidate costs the stable pod nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from mainspring_runtime.serve.errors import GONE_STATUS
from mainspring_runtime.serve.http import Request, Response
from mainspring_runtime.serve.predicting import Outputs
from mainspring_runtime.serve.splitting import messages
from mainspring_runtime.serve.splitting.agreement import Agreement, Answer
from mainspring_runtime.serve.splitting.breaker import Breaker
from mainspring_runtime.serve.splitting.opening import Opening
from mainspring_runtime.serve.splitting.outgoing import Exchange, Failure, Outcome, Pool
from mainspring_runtime.serve.splitting.wire import FORWARDED_HEADER, SHADOW_HEADER, Split, StageCounts

# There is nothing to compare with, and the pod has enough to do. What the model itself fails with (500) is copied: else
# the candidate would be compared on easier requests.
NOT_COPIED = (GONE_STATUS, 503)
MOST = 32
MOST_BYTES = 16 * 1024 * 1024


class Mirror:
    """Copies of one rollout. Has its own connections and breaker, so that copies never stand in a user's way."""

    def __init__(self, split: Split, seconds: float, outputs: Callable[[], Outputs]) -> None:
        """`seconds` may pass until an answer; `outputs` tells those of the model that are compared."""
        self.pool = Pool(split.host, split.port, MOST)
        self.breaker = Breaker()
        self._host = split.host
        self._marks = {FORWARDED_HEADER: split.revision.encode(), SHADOW_HEADER: b"1"}
        self._agreement = Agreement(split.tolerance)
        self._seconds = seconds
        self._outputs = outputs
        self._opening = Opening()
        self._under_way = 0
        self._bytes = 0

    def copy(self, counts: StageCounts, request: Request, target: bytes, response: Response) -> None:
        """Of a request that was answered with `response`."""
        if response.status in NOT_COPIED:
            return
        if self._under_way >= MOST or self._bytes + len(request.body) > MOST_BYTES:
            counts.skipped += 1
            return
        if not self.breaker.lets_through(time.monotonic()):
            counts.mirrored.failed(Failure.UNAVAILABLE)
            return
        start = messages.make_start(target, self._host, self._marks)
        content = messages.to_bytes(start, request, packed=False)
        self._under_way += 1
        self._bytes += len(request.body)
        ended = partial(self._ended, counts, len(request.body), response, time.monotonic())
        self.pool.send(Exchange(content, ended), self._seconds)

    def _ended(self, counts: StageCounts, size: int, response: Response, started: float, outcome: Outcome) -> None:
        self._under_way -= 1
        self._bytes -= size
        now = time.monotonic()
        if self._opening.excuses(outcome, now):
            self.breaker.abandoned()
            counts.skipped += 1
            return
        if isinstance(outcome, Failure):
            self.breaker.failed(now)
            counts.mirrored.failed(outcome, math.inf if outcome is Failure.TIMEOUT else None)
            return
        seconds = messages.seconds_of(outcome, now - started)
        if outcome.status >= 500:
            self.breaker.failed(now)
        else:
            self.breaker.succeeded()
        if outcome.status == 200 or (outcome.status < 500 and response.status != 200):
            counts.mirrored.took(seconds)
        else:
            counts.mirrored.failed(str(outcome.status), seconds)
        if outcome.status == response.status == 200:
            self._compare(counts, response, Answer(tuple(outcome.headers), outcome.body))

    def _compare(self, counts: StageCounts, response: Response, given: Answer) -> None:
        compared, disagreed = self._agreement.compare(Answer(response.headers, response.body), given, self._outputs())
        counts.compared += compared
        counts.disagreed += disagreed
