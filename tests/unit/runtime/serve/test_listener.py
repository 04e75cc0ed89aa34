"""Real sockets on the event loop that production uses."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from mainspring_runtime.errors import RetryableError
from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.listener import Listener, bind
from tests.unit.runtime.serve.fakes import LIMITS

BODY_LIMIT = 1000
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class App:
    """Answers `ok` at `/` when `answering` is set."""

    def __init__(self) -> None:
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.answer = Response(200, b'"ok"')
        self.waiting: set[asyncio.Task[None]] = set()
        self.bodies: list[bytes] = []
        routes = {"/": Route("GET", self.handle), "/body": Route("POST", self.handle, BODY_LIMIT)}
        self.router = Router(routes, "this is a test")

    def handle(self, request: Request) -> Response | None:
        self.bodies.append(request.body)
        self.asked.set()
        request.on_gone = self.gone.set
        if self.answering.is_set():
            return self.answer
        task = asyncio.get_running_loop().create_task(self.answer_later(request))
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)
        return None

    async def answer_later(self, request: Request) -> None:
        await self.answering.wait()
        request.respond(self.answer)


class Served:
    """A listener that is up, and clients for it."""

    def __init__(self, **limits: Any) -> None:
        self.app = App()
        self.listener = Listener(self.app.router, bind(0), replace(LIMITS, **limits))
        self._clients: list[Client] = []

    async def connect(self, host: str = "127.0.0.1") -> Client:
        return await self.adopt(socket.create_connection((host, self.listener.port)))

    async def adopt(self, sock: socket.socket) -> Client:
        self._clients.append(Client(*await asyncio.open_connection(sock=sock)))
        return self._clients[-1]

    async def close_clients(self) -> None:
        for client in self._clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def get(self) -> bytes:
        self.writer.write(GET)
        return await self.answer()

    async def answer(self) -> bytes:
        """Head and body of one response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def is_closed_by_server(self) -> bool:
        return await self.reader.read() == b""


def serve(scenario: Callable[[Served], Coroutine[Any, Any, None]], **limits: Any) -> None:
    async def run() -> None:
        served = Served(**limits)
        listening = asyncio.create_task(served.listener.listen())
        try:
            async with asyncio.timeout(20):
                await served.listener.started.wait()
                await scenario(served)
        finally:
            served.listener.stop()
            await listening
            left = len(served.listener.shared.connections)
            await served.close_clients()
        assert left == 0, "uvloop cannot close with open connections"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_a_connection_serves_one_request_after_the_other() -> None:
    async def scenario(served: Served) -> None:
        client = await served.connect()
        for _ in range(3):
            answer = await client.get()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"connection: close" not in answer
            assert b"server:" not in answer

    serve(scenario)


@pytest.mark.parametrize(
    "begun",
    [
        b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost",
        b"P",
        GET + b"GET / HTTP",
    ],
    ids=["body", "headers", "first byte", "second request"],
)
def test_a_request_that_never_becomes_complete_is_408(begun: bytes) -> None:
    async def scenario(served: Served) -> None:
        client = await served.connect()
        client.writer.write(begun)
        answer = await client.answer()
        if begun.startswith(GET):
            answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert answer.endswith(b'{"error":"the request was not complete after 0.05 s"}')
        assert await client.is_closed_by_server()

    serve(scenario, receive_seconds=0.05)


def test_receiving_is_limited_but_not_answering() -> None:
    async def scenario(served: Served) -> None:
        served.app.answering.clear()
        client = await served.connect()
        client.writer.write(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab")
        client.writer.write(b"cde")
        await served.app.asked.wait()
        slow = await served.connect()
        slow.writer.write(b"P")
        assert (await slow.answer()).startswith(b"HTTP/1.1 408"), "later than the other one's limit"
        served.app.answering.set()
        assert (await client.answer()).startswith(b"HTTP/1.1 200")

    serve(scenario, receive_seconds=0.1)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP"], ids=["idle", "receiving"])
def test_a_connection_that_was_reset_is_forgotten_at_once(begun: bytes) -> None:
    async def scenario(served: Served) -> None:
        client = await served.connect()
        client.writer.write(GET + begun)
        await client.answer()
        (connection,) = served.listener.shared.connections
        kept = weakref.ref(connection)
        del connection
        raw = client.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await served.listener.shared.unused.wait()
        await asyncio.sleep(0)
        gc.collect()
        assert kept() is None, "a timer holds it"

    serve(scenario)


def test_a_caller_that_does_not_read_its_answer_does_not_keep_the_process() -> None:
    async def scenario(served: Served) -> None:
        served.app.answer = Response(200, bytes(50_000_000))
        client = await served.connect()
        client.writer.write(GET)
        await served.app.asked.wait()

    serve(scenario, request_seconds=0.01)


def test_a_caller_may_use_its_idle_connection_while_draining_and_is_sent_away_by_the_answer() -> None:
    async def scenario(served: Served) -> None:
        active, idle = await served.connect(), await served.connect()
        await active.get()
        await idle.get()
        draining = asyncio.create_task(served.listener.drain())
        await asyncio.sleep(0)
        fresh = await served.connect()
        for client in (active, fresh):
            assert b"\r\nconnection: close\r\n" in await client.get()
            assert await client.is_closed_by_server()
        assert not draining.done()
        assert await idle.is_closed_by_server(), "when its time is up"
        await draining

    serve(scenario, linger_seconds=2.0)


def test_draining_ends_early_without_connections() -> None:
    async def scenario(served: Served) -> None:
        client = await served.connect()
        await client.get()
        draining = asyncio.create_task(served.listener.drain())
        await asyncio.sleep(0)
        await client.get()
        await draining
        with pytest.raises(ConnectionRefusedError):
            await served.connect()

    serve(scenario, linger_seconds=3600)


def test_a_request_in_flight_is_answered_after_the_port_is_closed() -> None:
    async def scenario(served: Served) -> None:
        served.app.answering.clear()
        client = await served.connect()
        client.writer.write(GET)
        await served.app.asked.wait()
        await served.listener.drain()
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        served.app.answering.set()
        assert (await client.answer()).startswith(b"HTTP/1.1 200")

    serve(scenario, linger_seconds=0.01)


def test_connections_that_only_the_kernel_has_accepted_are_served_when_the_port_closes() -> None:
    async def scenario(served: Served) -> None:
        # The loop does not turn between connecting and closing, so the server cannot have accepted these.
        waiting = [socket.create_connection(("127.0.0.1", served.listener.port)) for _ in range(5)]
        await served.listener._close_port()
        for sock in waiting:
            client = await served.adopt(sock)
            assert (await client.get()).startswith(b"HTTP/1.1 200")

    serve(scenario)


def test_both_ip_families_reach_the_port() -> None:
    async def scenario(served: Served) -> None:
        for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            client = await served.connect(host)
            assert (await client.get()).startswith(b"HTTP/1.1 200")

    serve(scenario)


def test_a_port_in_use_is_named() -> None:
    with bind(0) as taken, pytest.raises(RetryableError, match=f"port {taken.getsockname()[1]} cannot be opened"):
        bind(taken.getsockname()[1])
