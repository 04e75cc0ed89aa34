"""HTTP/1.1 to the candidate: connections that are kept open, and what becomes of a request that is sent over them.

Written here for the reason that `serve.connection` is (docs/decisions/0015-own-connection.md): an HTTP client of general
use takes several times as long for a request as the candidate does. There are callbacks and no tasks, but to connect.

A connection can be closed by the other side at the moment at which a request is written to it; so a request that got no
byte of an answer on a connection that was used before is sent once more, on a new one (RFC 9110, section 9.2.2, leaves
that to requests that may be repeated, and a prediction may). Connections are given up after a while even when they are
busy: a Service chooses a pod when a connection opens, and pods that came later would get nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import cast

import httptools
import msgspec

from mainspring_runtime.serve import http

CONNECT_SECONDS = 1.0
IDLE_SECONDS = 10.0  # far less than those after which our servers close
AGE_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Failure(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    UNAVAILABLE = "unavailable"  # nothing was sent, since the ones before failed


class Received(msgspec.Struct, frozen=True, gc=False):
    """An answer; names of headers are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Outcome = Received | Failure


class Exchange:
    """A request as bytes, and who is told what became of it: once, and not at all after `cancel`."""

    __slots__ = ("_done", "connection", "content", "deadline", "repeated")

    def __init__(self, content: bytes, done: Callable[[Outcome], None]) -> None:
        self.content = content
        self.connection: Outgoing | None = None  # while it waits for the answer
        self.deadline: asyncio.TimerHandle | None = None
        self.repeated = False
        self._done: Callable[[Outcome], None] | None = done

    @property
    def is_over(self) -> bool:
        return self._done is None

    def finish(self, outcome: Outcome) -> None:
        done = self._end()
        if done is not None:
            done(outcome)

    def cancel(self) -> None:
        self._end()

    def time_out(self) -> None:
        self.finish(Failure.TIMEOUT)

    def _end(self) -> Callable[[Outcome], None] | None:
        done, self._done = self._done, None
        if self.deadline is not None:
            self.deadline.cancel()
        if self.connection is not None:  # an answer that comes now is for nobody
            self.connection.abort()
        return done


class Outgoing(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._exchange: Exchange | None = None
        self.used = False  # it has brought an answer
        self._begin()

    def _begin(self) -> None:
        """What is known of the answer that is coming in."""
        self._heard = False
        self._complete = False
        self._keep_alive = False
        self._more = False  # came behind it
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def is_usable(self) -> bool:
        return not self._transport.is_closing()

    def start(self, exchange: Exchange) -> None:
        self._begin()
        self._exchange = exchange
        exchange.connection = self
        self._transport.write(exchange.content)

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        """Of a request that nobody waits for any more."""
        self._release()
        self._pool.forget(self)
        self._transport.abort()

    def _release(self) -> Exchange | None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.connection = None
        return exchange

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._pool.forget(self)
        exchange = self._release()
        if exchange is None:
            return
        if self.used and not self._heard and not exchange.repeated:
            self._pool.repeat(exchange)
        else:
            exchange.finish(Failure.BROKEN)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nothing was asked
            self._pool.forget(self)
            self._transport.abort()
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail()
        else:
            self._look()

    def _look(self) -> None:
        if self._size > MAX_ANSWER_BYTES or self._more:
            self._fail()
        elif self._complete and (exchange := self._release()) is not None:
            received = Received(self._parser.get_status_code(), self._headers, http.join(self._pieces))
            self.used = True
            self._pool.release(self, reusable=self._keep_alive)
            exchange.finish(received)

    def _fail(self) -> None:
        exchange = self._exchange
        if exchange is not None:
            exchange.finish(Failure.BROKEN)

    # The parser's side.

    def on_message_begin(self) -> None:
        self._more = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= MAX_ANSWER_BYTES:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._complete = True
        self._keep_alive = self._parser.should_keep_alive()  # which it forgets afterwards


class Pool:
    """The connections to one address, at most so many. Use from the event loop only."""

    def __init__(self, host: str, port: int, most: int) -> None:
        self._address = host, port
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._open: dict[Outgoing, float] = {}  # since when
        self._idle: deque[tuple[Outgoing, float]] = deque()  # since when; the newest is used first
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Exchange] = deque()
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """Something waits for an answer or for a connection."""
        return len(self._open) > len(self._idle) or bool(self._connecting or self._waiting)

    def send(self, exchange: Exchange, seconds: float) -> None:
        """The exchange is told the end within so many seconds, and never before this returns."""
        exchange.deadline = self._loop.call_later(seconds, exchange.time_out)
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_usable:
                connection.start(exchange)
                return
        self._waiting.append(exchange)
        self._connect_for_waiting()

    def repeat(self, exchange: Exchange) -> None:
        """On another connection; the idle ones are as old as the one that failed."""
        exchange.repeated = True
        self._close_idle(before=self._loop.time())
        self._waiting.appendleft(exchange)
        self._connect_for_waiting()

    def release(self, connection: Outgoing, *, reusable: bool) -> None:
        """It waits for nothing any more: the next request, or a rest."""
        now = self._loop.time()
        if not reusable or (connection.used and now - self._open.get(connection, now) > AGE_SECONDS):
            self.forget(connection)
            connection.close()
            return
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.is_over:
                connection.start(exchange)
                return
        if self._closed:
            self.forget(connection)
            connection.close()
        else:
            self._idle.append((connection, now))

    def forget(self, connection: Outgoing) -> None:
        if self._open.pop(connection, None) is not None:
            self._idle = deque(item for item in self._idle if item[0] is not connection)
            self._connect_for_waiting()

    def sweep(self) -> None:
        """Close what nobody has used for a while. Call it now and then."""
        self._close_idle(before=self._loop.time() - IDLE_SECONDS)

    def close(self) -> None:
        """No further requests; those under way get their answers."""
        self._closed = True
        self._close_idle(before=self._loop.time())

    def abort(self) -> None:
        """Nor do those."""
        self._closed = True
        self._waiting.clear()
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.abort()

    def _close_idle(self, before: float) -> None:
        while self._idle and self._idle[0][1] <= before:
            connection, _ = self._idle[0]
            self.forget(connection)
            connection.close()

    def _connect_for_waiting(self) -> None:
        while self._waiting and self._waiting[0].is_over:
            self._waiting.popleft()
        wanted = len(self._waiting) - len(self._connecting)
        for _ in range(min(wanted, self._most - len(self._open) - len(self._connecting))):
            task = self._loop.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        connection = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await self._loop.create_connection(lambda: Outgoing(self), *self._address)
        except OSError:  # TimeoutError is one, and so is a name that nobody knows
            pass
        task = asyncio.current_task()
        if task is not None:
            self._connecting.discard(task)
        if connection is None:
            self._fail_first()
            self._connect_for_waiting()
        else:
            self._open[connection] = self._loop.time()
            self.release(connection, reusable=connection.is_usable)

    def _fail_first(self) -> None:
        """Each attempt was for one request, and all that wait are alike."""
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.is_over:
                exchange.finish(Failure.UNREACHABLE)
                return
