"""The routes of an application behind a real `Connection`, without a network: bytes in, bytes out, in one event loop."""

from __future__ import annotations

import asyncio

import httptools
import httpx

from mainspring_runtime.serve.connection import Connection, Shared
from mainspring_runtime.serve.http import Router
from mainspring_runtime.serve.settings import Limits


class MemoryTransport(asyncio.Transport):
    """Keeps what the server writes; `connection` hears of it when the transport is closed."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.written = b""
        self.changed = asyncio.Event()
        self.reading = True
        self._connection = connection
        self._closing = False
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        self.changed.set()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)
            self.changed.set()

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Line:
    """One connection, one request after the other."""

    def __init__(self, shared: Shared) -> None:
        self._connection = Connection(shared)
        self._transport = MemoryTransport(self._connection)

    async def ask(self, content: bytes) -> bytes:
        """Send a whole request; what was written when the first bytes of the answer are there."""
        self._transport.written = b""
        self._transport.changed.clear()
        self._connection.data_received(content)
        await self._transport.changed.wait()
        return self._transport.written

    def close(self) -> None:
        self._transport.close()


class Answer:
    """Parses one response."""

    def __init__(self, content: bytes, is_head: bool) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        self._is_head = is_head
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(content)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = self._is_head

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class Wired(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient(transport=…)`: a connection for each request."""

    def __init__(self, router: Router, limits: Limits) -> None:
        self.shared = Shared(router, limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        lines = [b"%s: %s\r\n" % header for header in request.headers.raw if header[0].lower() != b"transfer-encoding"]
        head = b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method.encode(), request.url.raw_path, b"".join(lines))
        answer = await self.exchange(head + body, is_head=request.method == "HEAD")
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    async def exchange(self, content: bytes, *, is_head: bool = False) -> Answer:
        """Send these bytes on a new connection, and read one answer, which is written at once."""
        line = Line(self.shared)
        answer = Answer(await line.ask(content), is_head)
        line.close()
        assert answer.complete
        return answer
