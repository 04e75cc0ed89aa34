"""Whoever is at the other end of a connection, and the answer that they wait for.

The protocol learns that a connection is lost, the batcher has the request: this is all that the two know of each other.
A connection has one request in work at a time (the next of a pipeline is started after the answer), so one place is
enough, and a request costs two assignments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCOPE_KEY = "mainspring.caller"  # in the ASGI scope of each request


class Caller:
    """One for each connection. Use from the event loop only."""

    __slots__ = ("_leave", "_waits_for")

    def __init__(self) -> None:
        self._waits_for: Any = None
        self._leave: Callable[[Any], None] | None = None

    def waits(self, answer: Any, leave: Callable[[Any], None]) -> None:
        """From now on, until `done`: when the caller goes away, `leave(answer)` is called."""
        self._waits_for, self._leave = answer, leave

    def done(self) -> None:
        """The answer is there; it is not kept here, since a connection may be idle for long."""
        self._waits_for = self._leave = None

    def went_away(self) -> None:
        """The connection is lost."""
        if self._leave is not None:
            self._leave(self._waits_for)
        self.done()
