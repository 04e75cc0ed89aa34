"""A port with its uvicorn server, and the order in which it goes out of service.

Zero failed requests while a pod goes away needs more than finishing what was begun. By the time of SIGTERM no new caller
is sent here (the pod's preStop sleep saw to that), but callers that keep connections open may use one at any moment, and
one that is closed at that very moment fails their request. So:

1. `linger`: still listening, every answer says `connection: close`; callers move to other pods at their own pace.
2. The port is closed, after accepting what the kernel had already accepted for us.
3. A last second for those connections; then idle ones are closed, and those with a request end with its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from mainspring_runtime.errors import RetryableError
from mainspring_runtime.serve.connection import Connection, ConnectionConfig
from mainspring_runtime.serve.settings import LAST_SECONDS, Limits


def bind(port: int) -> socket.socket:
    """A socket on all addresses, IPv6 and IPv4 where the kernel has both. Port 0 takes a free one."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=2048)
    except OSError as error:
        raise RetryableError("PortUnavailable", f"port {port} cannot be opened: {error}") from error


class Listener(uvicorn.Server):
    """Serves one ASGI application on one socket until `drain` or `stop`."""

    config: ConnectionConfig

    def __init__(self, app: Any, sock: socket.socket, limits: Limits) -> None:
        super().__init__(ConnectionConfig(app, limits))
        self.port = int(sock.getsockname()[1])
        self._socket = sock
        self._limits = limits

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business: two servers share it."""
        yield

    async def listen(self) -> None:
        """Serve until told to stop. uvicorn gets a duplicate, so that closing its port leaves the kernel's queue to us."""
        await self.serve(sockets=[self._socket.dup()])
        # Who does not read its answer must not keep the process: uvloop refuses to close with open transports.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self._until_unused(LAST_SECONDS)

    def stop(self) -> None:
        """Close as soon as uvicorn notices; requests in flight are finished."""
        self._socket.close()
        self.should_exit = True

    async def drain(self) -> None:
        """Go out of service in order, as described above. Returns when only requests in flight are left."""
        await self._until_unused(self._limits.linger_seconds)
        await self._close_port()
        await self._until_unused(LAST_SECONDS)
        self.should_exit = True

    async def _until_unused(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.config.unused.wait()

    async def _close_port(self) -> None:
        for server in self.servers:
            server.close()
        accepted = list(self._accept_all())
        self._socket.close()
        loop = asyncio.get_running_loop()
        for sock in accepted:
            await loop.connect_accepted_socket(self._make_connection, sock)

    def _accept_all(self) -> Iterator[socket.socket]:
        """What is in the kernel's queue; closing the socket would reset these connections."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._socket.accept()
                sock.setblocking(False)
                yield sock

    def _make_connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)
