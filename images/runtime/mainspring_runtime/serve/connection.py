"""One HTTP connection: uvicorn's protocol with a time limit on receiving, and without its leak of idle timers.

A request whose caller is gone is taken out of the queue: `caller` says how.

Reads attributes of uvicorn's protocol that its documentation does not name (`connections`, the idle timer, the start of a request); the
tests beside it fail if an upgrade changes them.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mainspring_runtime.serve.caller import SCOPE_KEY, Caller
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.settings import LAST_SECONDS, Limits
from mainspring_runtime.serve.wire import encode_error

TIMEOUT_HEAD = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
)


class ConnectionConfig(uvicorn.Config):
    """uvicorn with everything off that an inference server does not use (WebSockets, proxy headers, access log)."""

    def __init__(self, app: Any, limits: Limits) -> None:
        super().__init__(
            app,
            http=Connection,
            ws="none",
            interface="asgi3",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=math.ceil(limits.request_seconds + LAST_SECONDS),
        )
        self.receive_seconds = limits.receive_seconds
        self.unused = asyncio.Event()  # set while no connection is open
        self.unused.set()


class Connection(HttpToolsProtocol):
    """Answers 408 and closes when a request has begun and does not become complete in time, headers or body."""

    config: ConnectionConfig
    _is_receiving = False  # a request has begun and more of it is to come
    _deadline: asyncio.TimerHandle | None = None
    _cycle_in_work: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._caller = Caller()
        self.config.unused.clear()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_receiving = True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._cycle_in_work = cycle
        cycle.scope[SCOPE_KEY] = self._caller  # type: ignore[literal-required]
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_receiving = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_receiving and not self.transport.is_closing():
            self._watch()
        elif self._deadline is not None:
            self._stop_watching()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn tells only the request that came last, which in a pipeline is not the one that is answered.
        if self._cycle_in_work is not None and not self._cycle_in_work.response_complete:
            self._cycle_in_work.disconnected = True
        self._caller.went_away()
        # uvicorn forgets its own timer when the peer resets the connection, which keeps the connection's memory for
        # the whole idle time: minutes here.
        self._unset_keepalive_if_required()
        self._stop_watching()
        if not self.connections:
            self.config.unused.set()

    def _watch(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.config.receive_seconds, self._receive_timed_out)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _receive_timed_out(self) -> None:
        self._deadline = None
        body = encode_error(RequestError(408, f"the request was not complete after {self.config.receive_seconds:g} s"))
        self.transport.write(TIMEOUT_HEAD % len(body) + body)
        self.transport.close()
