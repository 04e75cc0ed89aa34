"""A port, and the order in which it goes out of service.

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

from mainspring_runtime.errors import RetryableError
from mainspring_runtime.serve.connection import Connection, Shared
from mainspring_runtime.serve.http import Router
from mainspring_runtime.serve.settings import LAST_SECONDS, Limits

BACKLOG = 2048
SWEEPS = 10  # for each idle time


def bind(port: int) -> socket.socket:
    """A socket on all addresses, IPv6 and IPv4 where the kernel has both. Port 0 takes a free one."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=BACKLOG)
    except OSError as error:
        raise RetryableError("PortUnavailable", f"port {port} cannot be opened: {error}") from error


class Listener:
    """Serves the routes of one application on one socket until `drain` or `stop`."""

    def __init__(self, router: Router, sock: socket.socket, limits: Limits) -> None:
        self.port = int(sock.getsockname()[1])
        self.shared = Shared(router, limits)
        self.started = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._socket = sock
        self._limits = limits
        self._stopped = asyncio.Event()

    async def listen(self) -> None:
        """Serve until told to stop, then finish what was begun."""
        loop = asyncio.get_running_loop()
        # A duplicate, so that closing the port leaves the kernel's queue to us.
        self._server = await loop.create_server(self._connect, sock=self._socket.dup(), backlog=BACKLOG)
        sweeping = asyncio.create_task(self._sweep())
        self.started.set()
        await self._stopped.wait()
        sweeping.cancel()
        self._server.close()
        await self._finish()

    def stop(self) -> None:
        """Close as soon as possible; requests in flight are finished."""
        self._socket.close()
        self.shared.closing = True
        self._stopped.set()

    async def drain(self) -> None:
        """Go out of service in order, as described above. Returns when only requests in flight are left."""
        self.shared.closing = True
        await self._until_unused(self._limits.linger_seconds)
        await self._close_port()
        await self._until_unused(LAST_SECONDS)
        self._stopped.set()

    def _connect(self) -> Connection:
        return Connection(self.shared)

    async def _finish(self) -> None:
        for connection in list(self.shared.connections):
            connection.finish()
        await self._until_unused(self._limits.request_seconds + LAST_SECONDS)
        # Who does not read its answer must not keep the process: uvloop refuses to close with open transports.
        for connection in list(self.shared.connections):
            connection.abort()
        await self._until_unused(LAST_SECONDS)

    async def _until_unused(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.shared.unused.wait()

    async def _sweep(self) -> None:
        """Close connections that nobody uses any more; one look at all of them is cheaper than a timer for each."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.idle_seconds / SWEEPS)
            before = loop.time() - self._limits.idle_seconds
            for connection in [item for item in self.shared.connections if item.idle_since < before]:
                connection.finish()

    async def _close_port(self) -> None:
        if self._server is not None:
            self._server.close()
        accepted = list(self._accept_all())
        self._socket.close()
        loop = asyncio.get_running_loop()
        for sock in accepted:
            await loop.connect_accepted_socket(self._connect, sock)

    def _accept_all(self) -> Iterator[socket.socket]:
        """What is in the kernel's queue; closing the socket would reset these connections."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._socket.accept()
                sock.setblocking(False)
                yield sock
