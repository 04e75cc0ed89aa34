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
    """Requests that are being answered, and the integral of their number over time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests = 0
        self.in_flight = 0
        self._epoch = uuid.uuid4().hex
        self._clock = clock
        self._started = self._since = clock()
        self._busy_seconds = 0.0  # up to `_since`

    def begin(self) -> None:
        self._advance()
        self.requests += 1
        self.in_flight += 1

    def end(self) -> None:
        self._advance()
        self.in_flight -= 1

    def snapshot(self) -> Snapshot:
        self._advance()
        seconds = self._since - self._started
        return Snapshot(self._epoch, seconds, self.requests, self.in_flight, self._busy_seconds)

    def _advance(self) -> None:
        now = self._clock()
        self._busy_seconds += self.in_flight * (now - self._since)
        self._since = now
