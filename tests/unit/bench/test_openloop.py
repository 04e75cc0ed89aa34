"""The client that keeps a rate: what it counts, and from when."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.bench.serving.openloop import Caller, Connection
from tests.bench.serving.wrk import Request

ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n{}"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, content: bytes) -> None:
        self.written.append(content)

    def close(self) -> None:
        self.closed = True


def opened() -> tuple[Caller, Connection, Any]:
    caller = Caller(1, "/infer", Request(b"body"), rate=10.0, connections=1)
    connection, wire = Connection(caller), Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    return caller, connection, wire


async def test_a_request_is_complete_with_its_length() -> None:
    _, connection, wire = opened()
    connection.send(0.0)
    assert wire.written == [
        b"POST /infer HTTP/1.1\r\nhost: m\r\nContent-Type: application/json\r\ncontent-length: 4\r\n\r\nbody"
    ]


async def test_latency_counts_from_when_a_request_was_due() -> None:
    caller, connection, _ = opened()
    connection.send(asyncio.get_running_loop().time() - 5.0)
    connection.data_received(ANSWER % b"200 OK")
    [milliseconds] = caller.tally.take().milliseconds
    assert milliseconds >= 5000


async def test_an_answer_may_come_in_pieces() -> None:
    caller, connection, _ = opened()
    connection.send(0.0)
    answer = ANSWER % b"200 OK"
    for size in range(len(answer)):
        connection.data_received(answer[size : size + 1])
        assert len(caller.tally.milliseconds) == (size == len(answer) - 1)


async def test_anything_but_200_is_an_error_without_a_latency() -> None:
    caller, connection, _ = opened()
    connection.send(0.0)
    connection.data_received(ANSWER % b"503 Service Unavailable")
    tally = caller.tally.take()
    assert (len(tally.milliseconds), tally.errors) == (0, 1)


async def test_a_connection_that_breaks_is_an_error() -> None:
    caller, connection, _ = opened()
    connection.connection_lost(None)
    assert caller.tally.take().errors == 1


async def test_a_tally_is_empty_after_it_was_taken() -> None:
    caller, connection, _ = opened()
    connection.send(0.0)
    connection.data_received(ANSWER % b"200 OK")
    caller.tally.take()
    assert len(caller.tally.take().milliseconds) == 0


async def test_it_asks_a_real_server_and_waits_for_the_last_answers() -> None:
    asked = []

    class Answering(asyncio.Protocol):
        transport: Any

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            asked.append(data)
            self.transport.write(ANSWER % b"200 OK")

    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    async with server:
        caller = Caller(server.sockets[0].getsockname()[1], "/infer", Request(b"body"), rate=1000.0, connections=2)
        await caller.run(0.5)
    assert 0 < len(asked) <= 500
    assert len(caller.tally.take().milliseconds) == len(asked)
