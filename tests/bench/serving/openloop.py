"""A client that keeps a rate whatever the server does: a request is due at a moment, and its latency counts from then.

`wrk` sends the next request when an answer came, so a server that stalls is asked less and looks better than it is. Here
requests that are due while all connections are busy wait, and their waiting counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.bench.serving.wrk import Request

TICK_SECONDS = 0.001
LAST_SECONDS = 10.0  # for answers that are still to come at the end
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


@dataclass
class Tally:
    """Since it was last taken."""

    milliseconds: array[float] = field(default_factory=lambda: array("d"))  # of answers with 200
    errors: int = 0

    def take(self) -> Tally:
        """What is in it; it is empty afterwards."""
        found = Tally(self.milliseconds, self.errors)
        self.milliseconds, self.errors = array("d"), 0
        return found


class Caller:
    """Sends `rate` requests a second over some connections until it is stopped."""

    def __init__(self, port: int, path: str, request: Request, rate: float, connections: int) -> None:
        lines = [f"POST {path} HTTP/1.1", "host: m", *(f"{name}: {value}" for name, value in request.headers.items())]
        head = "\r\n".join([*lines, f"content-length: {len(request.body)}"]).encode()
        self.content = head + HEAD_END + request.body
        self.tally = Tally()
        self._port, self._rate, self._count = port, rate, connections
        self._due: deque[float] = deque()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._all_closed = asyncio.Event()
        self._stopped = False

    async def run(self, seconds: float) -> None:
        """Raises `ConnectionError` when nobody listens."""
        loop = asyncio.get_running_loop()
        for _ in range(self._count):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
        started = loop.time()
        sent = 0
        while (now := loop.time()) < started + seconds:
            due = int((now - started) * self._rate)
            self._due.extend(started + number / self._rate for number in range(sent, due))
            sent = due
            while self._due and self._idle:
                self._idle.pop().send(self._due.popleft())
            # The rate comes from the clock; a tick that is late makes the next one larger.
            await asyncio.sleep(TICK_SECONDS)
        await self._end()

    async def _end(self) -> None:
        """What was due and is not answered in time is an error."""
        self.tally.errors += len(self._due)
        self._stopped = True
        for connection in self._idle:
            connection.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._all_closed.wait()
        self.tally.errors += len(self._open)
        for connection in self._open:
            connection.transport.abort()

    def answered(self, connection: Connection, seconds: float, good: bool) -> None:
        if good:
            self.tally.milliseconds.append(seconds * 1e3)
        else:
            self.tally.errors += 1
        if self._stopped:
            connection.transport.close()
        elif self._due:
            connection.send(self._due.popleft())
        else:
            self._idle.append(connection)

    def opened(self, connection: Connection) -> None:
        self._idle.append(connection)
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """One that we closed says nothing, and any other is missed from now on."""
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()
        if self._stopped:
            return
        self.tally.errors += 1
        if connection in self._idle:
            self._idle.remove(connection)


class Connection(asyncio.Protocol):
    """One request at a time."""

    transport: Any

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._caller.opened(self)

    def send(self, due: float) -> None:
        self._since = due
        self.transport.write(self._caller.content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(HEAD_END)
        if not separator or len(body) < int(head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]):
            return
        assert self._since is not None
        seconds, self._since = self._loop.time() - self._since, None
        self._received = b""
        self._caller.answered(self, seconds, head.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._caller.closed(self)
