"""How much a server has to do: what the operator's autoscaler reads, by the contract of `mainspring.api.load`.

Counted where a connection takes up a request and where it answers it, whatever happens in between, so that no path of an
answer can forget to count. On the event loop alone, so plain numbers do.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import msgspec

LOAD_PATH = "/load"


class Snapshot(msgspec.Struct, frozen=True, rename="camel"):
    """`mainspring.api.load.Load` once more, without pydantic."""

    epoch: str
    seconds: float
    requests: int
    in_flight: int
    busy_seconds: float


class Load:
    """Requests that are being answered, and the integral of their number over time.

    The integral is the sum of all ends less that of all beginnings, with those in flight ending now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests = 0
        self.in_flight = 0
        self._epoch = uuid.uuid4().hex
        self._clock = clock
        self._started = clock()
        self._balance = 0.0

    def begin(self) -> None:
        self.requests += 1
        self.in_flight += 1
        self._balance -= self._clock()

    def end(self) -> None:
        self.in_flight -= 1
        self._balance += self._clock()

    def snapshot(self) -> Snapshot:
        now = self._clock()
        busy = self._balance + self.in_flight * now
        # A rounding error below nothing would be a figure that no reader expects.
        return Snapshot(self._epoch, now - self._started, self.requests, self.in_flight, max(busy, 0.0))
