"""One split as it is applied: each request is kept or goes to the candidate, and its arm hears how it went.

Whatever goes wrong on the way to the candidate, the caller gets the answer of this pod, from the same request by the same
path as any other. That request is then an error of the candidate, and none of the stable revision's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial

from mainspring_runtime.serve.http import Request, Response
from mainspring_runtime.serve.splitting import messages
from mainspring_runtime.serve.splitting.breaker import Breaker
from mainspring_runtime.serve.splitting.budget import Budget
from mainspring_runtime.serve.splitting.choosing import Arm, Chooser, Turns
from mainspring_runtime.serve.splitting.mirror import Mirror
from mainspring_runtime.serve.splitting.opening import Opening
from mainspring_runtime.serve.splitting.outgoing import Exchange, Failure, Outcome, Pool
from mainspring_runtime.serve.splitting.tallies import SplitTallies
from mainspring_runtime.serve.splitting.wire import FORWARDED_HEADER, ArmCounts, Split, StageCounts

# Is told of an answer of this pod and of the seconds it took, before it is sent; the answer may be exchanged for another.
Note = Callable[[Response, float], Response]
Here = Callable[[Note | None], Response | None]  # let this pod answer; as `http.Handler`


class Lane:
    """The way to a candidate: connections, a breaker, and whether it is open yet. Of all stages of a rollout."""

    def __init__(self, split: Split, most: int) -> None:
        self.pool = Pool(split.host, split.port, most)
        self.breaker = Breaker()
        self.opening = Opening()


class Division:
    """Applies one split. Use from the event loop only."""

    def __init__(
        self, split: Split, counts: StageCounts, lane: Lane, mirror: Mirror, budget: Budget, tallies: SplitTallies
    ) -> None:
        self.split = split
        self.lane = lane
        self.mirror = mirror
        self.budget = budget
        self.tallies = tallies
        self._counts = counts
        self._chooser = Chooser(split)
        self._copies = Turns(split.mirror) if split.mirror else None
        self._starts: dict[bytes, bytes] = {}
        self._marks = {FORWARDED_HEADER: split.revision.encode()}

    @property
    def is_busy(self) -> bool:
        return self.lane.pool.is_busy or self.mirror.pool.is_busy

    def answer(self, request: Request, target: bytes, here: Here) -> Response | None:
        """As an `http.Handler`; `target` is the path that was asked."""
        arm = self._chooser.choose(request.headers)
        if arm is not Arm.STABLE:
            return self._forward(
                self._counts.matched if arm is Arm.MATCHED else self._counts.candidate, request, target, here
            )
        if self._copies is not None and self._copies.next():
            return here(partial(self._kept_and_copied, request, target))
        return here(self._kept)

    def _kept(self, response: Response, seconds: float) -> Response:
        if response.status < 500:
            self._counts.stable.took(seconds)
        else:
            self._counts.stable.failed(str(response.status), seconds)
        return response

    def _kept_and_copied(self, request: Request, target: bytes, response: Response, seconds: float) -> Response:
        self._kept(response, seconds)
        # Not before the answer is written, which is in this turn of the loop.
        asyncio.get_running_loop().call_soon(self.mirror.copy, self._counts, request, target, response)
        return response

    def _forward(self, arm: ArmCounts, request: Request, target: bytes, here: Here) -> Response | None:
        if not self.lane.breaker.lets_through(time.monotonic()):
            arm.failed(Failure.UNAVAILABLE)
            return here(None)
        Forward(self, arm, request, here).send(messages.to_bytes(self._start(target), request, packed=True))
        return None

    def _start(self, target: bytes) -> bytes:
        start = self._starts.get(target)
        if start is None:
            start = self._starts[target] = messages.make_start(target, self.split.host, self._marks)
        return start


class Forward:
    """One request that the candidate is to answer."""

    __slots__ = ("_arm", "_breaker", "_division", "_exchange", "_here", "_request", "_seconds", "_started")

    def __init__(self, division: Division, arm: ArmCounts, request: Request, here: Here) -> None:
        self._division = division
        self._breaker = division.lane.breaker
        self._arm = arm
        self._request = request
        self._here = here
        self._seconds = division.budget.seconds
        self._started = time.monotonic()

    def send(self, content: bytes) -> None:
        self._exchange = Exchange(content, self._ended)
        self._request.on_gone = self._gone
        self._division.lane.pool.send(self._exchange, self._seconds)

    def _gone(self) -> None:
        """The caller did not wait. So long the candidate took at least, which is all that is known."""
        self._exchange.cancel()
        self._breaker.abandoned()
        self._arm.took(self._elapsed())

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _ended(self, outcome: Outcome) -> None:
        if self._division.lane.opening.excuses(outcome, time.monotonic()):
            self._breaker.abandoned()
            self._answer_here(None)
            return
        if outcome is Failure.TIMEOUT:
            self._breaker.failed(time.monotonic())
            self._answer_here(self._timed_out)
            return
        if isinstance(outcome, Failure):
            self._failed(outcome, None)
            return
        elapsed = self._elapsed()
        self._division.tallies.forward_seconds.observe(elapsed)
        seconds = messages.seconds_of(outcome, elapsed)
        if outcome.status == 200:
            self._breaker.succeeded()
            self._arm.took(seconds)
            self._request.respond(messages.to_response(outcome))
        elif 400 <= outcome.status < 500:
            self._breaker.succeeded()
            self._answer_here(partial(self._refused, str(outcome.status), seconds))
        else:
            self._failed(str(outcome.status), seconds)

    def _failed(self, kind: str, seconds: float | None) -> None:
        self._breaker.failed(time.monotonic())
        self._arm.failed(kind, seconds)
        self._answer_here(None)

    def _timed_out(self, response: Response, own_seconds: float) -> Response:
        """What takes this pod as long, too, is slow and no error: some requests are larger than nearly all others."""
        if response.status < 500 and own_seconds >= self._seconds:
            self._arm.took(math.inf)
        else:
            self._arm.failed(Failure.TIMEOUT, math.inf)
        return response

    def _refused(self, kind: str, seconds: float, response: Response, _own_seconds: float) -> Response:
        """What this pod would refuse, too, is nobody's error."""
        if 400 <= response.status < 500:
            self._arm.took(seconds)
        else:
            self._arm.failed(kind, seconds)
        return response

    def _answer_here(self, note: Note | None) -> None:
        response = self._here(note)
        if response is not None:
            self._request.respond(response)
