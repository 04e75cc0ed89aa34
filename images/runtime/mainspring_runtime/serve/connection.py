"""One HTTP/1.1 connection: parsed by httptools (the parser of Node.js), answered in order, one request at a time.

Written here because a general ASGI server spends 50 µs more on a request than this does, as much as all the rest of an
answer (docs/decisions/0015-own-connection.md). What it keeps to: RFC 9112, and the order in which a server goes away
(`listener`). What it leaves out: HTTP/2, TLS, trailers, streaming; an inference request is one body, its answer another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from email.utils import formatdate
from typing import cast

import httptools

from mainspring_runtime.serve import http
from mainspring_runtime.serve.errors import RequestError, bad_request
from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.settings import Limits

MAX_HEAD_BYTES = 64 * 1024
# Of requests that wait behind the one that is answered. Reading goes on till then: who does not read sees nobody go.
MAX_WAITING = 16
MAX_WAITING_BYTES = 64 * 1024
DISCARD_FACTOR = 4  # a body that is refused is read so many times its limit, so that the caller gets to read the answer
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPGRADE_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Shared:
    """What all connections of one port have in common."""

    def __init__(self, router: Router, limits: Limits) -> None:
        self.router = router
        self.limits = limits
        self.connections: set[Connection] = set()
        self.unused = asyncio.Event()  # set while no connection is open
        self.unused.set()
        self.closing = False  # every answer sends its caller away
        self._second = 0
        self._date = b""

    def date(self) -> bytes:
        """For the Date header, made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        return self._date


class Connection(asyncio.Protocol):
    """Reads requests, hands them to their routes, writes responses in the same order."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._current: Request | None = None  # being answered
        self._waiting: deque[Request] = deque()  # complete, behind it
        self._deadline: asyncio.TimerHandle | None = None
        self._writable = True
        self._paused = False
        self._refused = False  # nothing more is read
        self.idle_since = self._loop.time()
        self._begin()

    def _begin(self) -> None:
        """What is known of the request that is coming in."""
        self._receiving = False  # it has begun, and more of it is to come
        self._head_complete = False
        self._head_bytes = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._route: Route | None = None
        self._refusal: RequestError | None = None

    @property
    def is_idle(self) -> bool:
        return self._current is None and not self._waiting and not self._receiving

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._shared.connections.add(self)
        self._shared.unused.clear()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._stop_watching()
        self._refused = True
        self._waiting.clear()
        gone = self._release()
        if gone is not None and gone.on_gone is not None:
            gone.on_gone()
        self._shared.connections.discard(self)
        if not self._shared.connections:
            self._shared.unused.set()

    def pause_writing(self) -> None:
        """The caller does not read its answers: no further ones are made for it."""
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._next()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            self._feed(data)
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError as error:
            self._refuse(bad_request(f"this is not HTTP/1.1: {error}"))
        if self._receiving and not self._head_complete:
            self._limit_head(len(data))
        if self._waiting and self._current is None:
            self._next()
        self._keep_pace()

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])

    def _ignore_upgrade(self, rest: bytes) -> None:
        """An offer of another protocol (Java's client makes one) may be ignored, but the parser stopped at the head."""
        if self._parser.get_method() == b"CONNECT":  # what follows is no HTTP, whatever the headers say
            self._refuse(RequestError(405, "this is no proxy: CONNECT is not allowed"))
            return
        lines = [b"%s: %s\r\n" % (name, value) for name, value in self._headers.items() if name not in UPGRADE_HEADERS]
        head = b"%s %s HTTP/1.1\r\n%s\r\n" % (self._parser.get_method(), self._target, b"".join(lines))
        self._parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

    def _limit_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(RequestError(431, f"the headers are larger than {MAX_HEAD_BYTES} bytes"))

    def _keep_pace(self) -> None:
        """Read no further while many requests wait, and set the time limit of one that is not complete."""
        if self._waiting and not self._paused and self._is_full() and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
        if not self._receiving:
            if self._deadline is not None:
                self._stop_watching()
        elif self._deadline is None and not self._transport.is_closing():
            self._deadline = self._loop.call_later(self._shared.limits.receive_seconds, self._receive_timed_out)

    def _is_full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING or sum(len(item.body) for item in self._waiting) > MAX_WAITING_BYTES

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _receive_timed_out(self) -> None:
        self._deadline = None
        seconds = self._shared.limits.receive_seconds
        self._refuse(RequestError(408, f"the request was not complete after {seconds:g} s"))
        self._next()

    # The parser's side. A handler is never called from here: its exceptions would be the parser's.

    def on_message_begin(self) -> None:
        self._begin()
        self._receiving = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        given = self._headers.get(name)
        self._headers[name] = value if given is None else given + b", " + value

    def on_headers_complete(self) -> None:
        self._head_complete = True
        try:
            self._route = self._shared.router.find(self._parser.get_method(), self._target)
            http.require_acceptable(self._route, self._headers)
        except RequestError as error:
            self._refusal = error
        if b"expect" in self._headers:
            self._answer_expectation()

    def _answer_expectation(self) -> None:
        """Who asks before sending the body gets the refusal at once, or is told to go on."""
        if self._headers[b"expect"].lower() != b"100-continue" or self._parser.should_upgrade():
            return
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._current is None and not self._waiting:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        wanted = 0 if self._route is None else self._route.max_bytes
        limit = wanted or self._shared.limits.body_bytes
        if self._size <= limit and self._refusal is None:
            if wanted:
                self._pieces.append(body)
            return
        self._pieces.clear()
        self._refusal = self._refusal or http.too_large(limit)
        if self._size > DISCARD_FACTOR * limit and not self._refused:
            self._refuse(self._refusal)

    def on_message_complete(self) -> None:
        if self._refused or self._parser.should_upgrade():
            return
        self._receiving = False
        self._waiting.append(
            Request(
                self,
                self._headers,
                http.join(self._pieces),
                route=self._route,
                refusal=self._refusal,
                is_head=self._parser.get_method() == b"HEAD",
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    def _refuse(self, error: RequestError) -> None:
        """The answer to what never became a request; it is the last on this connection."""
        if not self._refused:
            self._refused = True
            self._receiving = False
            self._waiting.append(Request(self, {}, b"", route=self._route, refusal=error, keep_alive=False))

    # The handlers' side.

    def _next(self) -> None:
        while self._waiting and self._current is None and self._writable:
            request = self._take()
            response = _handle(request)
            if response is not None:
                self._write(request, response)
        if self._paused and not self._waiting and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _take(self) -> Request:
        request = self._current = self._waiting.popleft()
        if request.route is not None and request.route.load is not None:
            request.route.load.begin()
        return request

    def _release(self) -> Request | None:
        """What was being answered is so no more: it was, or its caller went away."""
        request, self._current = self._current, None
        if request is not None and request.route is not None and request.route.load is not None:
            request.route.load.end()
        return request

    def respond(self, request: Request, response: Response) -> None:
        """The answer to a request whose handler returned None."""
        if self._current is request:
            self._write(request, response)
            if self._waiting:
                self._next()

    def _write(self, request: Request, response: Response) -> None:
        self._release()
        if self._transport.is_closing():
            return
        close = self._shared.closing or not request.keep_alive or http.CLOSE in response.headers
        head = http.encode_head(response, self._shared.date(), close=close)
        self._transport.write(head if request.is_head else head + response.body)
        self.idle_since = self._loop.time()
        if close:
            self._refused = True
            self._waiting.clear()
            self._transport.close()

    def finish(self) -> None:
        """Close now if nobody waits for an answer, else with the answer."""
        if self.is_idle:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _handle(request: Request) -> Response | None:
    route = request.route
    if request.refusal is not None or route is None:
        error = request.refusal or bad_request("this is not HTTP/1.1")
        if route is not None and route.on_refused is not None:
            route.on_refused(error.status)
        return http.refusal(error)
    try:
        return route.handler(request)
    except RequestError as error:
        return http.refusal(error)
