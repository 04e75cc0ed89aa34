"""Callers that go away while they wait, on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.listener import Listener, bind
from mainspring_runtime.serve.metrics import Tallies
from tests.unit.runtime.serve.fakes import LIMITS, SETTINGS, HeldExecutor, SumPredictor, served_model


def request(value: float) -> bytes:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [value, 0.0]}
    body = json.dumps({"inputs": [tensor]}).encode()
    return b"POST /v2/models/tumours/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Served:
    """A server whose predictions end when the test says so."""

    def __init__(self) -> None:
        self.tallies = Tallies()
        self.executor = HeldExecutor()
        self.app = InferenceApp(SETTINGS, LIMITS, self.tallies)
        self.app.model = served_model(SumPredictor(), self.executor, LIMITS, self.tallies)
        self.batcher = self.app.model.batcher
        self.listener = Listener(self.app.router, bind(0), LIMITS)

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.listener.port))

    async def queued(self, count: int) -> None:
        """Until so many wait behind the running prediction."""
        await until(lambda: sum(not waiting.answer.done() for waiting in self.batcher._queue) == count)

    async def running(self) -> None:
        await until(lambda: bool(self.batcher._running))

    @property
    def predicted(self) -> list[list[float]]:
        """The first number of each request, by call of the model."""
        return [[float(part.floats[0, 0]) for part in call[1]] for call in self.executor.calls]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *values: float) -> None:
        self.writer.write(b"".join(request(value) for value in values))

    async def answer(self) -> float:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        return float(json.loads(await self.reader.readexactly(length))["outputs"][0]["data"][0])

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the scenario has a deadline."""
    while not condition():  # noqa: ASYNC110 - what is waited for is the state of somebody else's sockets
        await asyncio.sleep(0)


def serve(scenario: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        served = Served()
        listening = asyncio.create_task(served.listener.listen())
        await served.listener.started.wait()
        try:
            async with asyncio.timeout(20):
                await scenario(served)
        finally:
            served.listener.stop()
            await listening

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["closed", "reset"])
def test_the_row_of_a_caller_that_went_away_is_never_predicted(leave: Callable[[Client], None]) -> None:
    async def scenario(served: Served) -> None:
        first, gone, last = [await served.connect() for _ in range(3)]
        first.send(1)
        await served.running()
        gone.send(2)
        await served.queued(1)
        last.send(3)
        await served.queued(2)
        leave(gone)
        await served.queued(1)
        await served.executor.complete()
        await served.running()
        assert served.predicted == [[1], [3]]
        await served.executor.complete()
        assert (await first.answer(), await last.answer()) == (1, 3)
        assert served.tallies.requests == {200: 2, 499: 1}, "it is counted as what it was"
        for client in (first, last):
            client.close()

    serve(scenario)


def test_a_connection_that_stays_gets_all_its_answers_in_order() -> None:
    async def scenario(served: Served) -> None:
        client, other = await served.connect(), await served.connect()
        client.send(1, 2)  # the second is started after the answer to the first
        await served.running()
        other.send(7)
        await served.queued(1)
        other.close()
        await served.queued(0)
        for expected in (1.0, 2.0):
            await served.running()
            await served.executor.complete()
            assert await client.answer() == expected
        client.send(3)
        await served.running()
        await served.executor.complete()
        assert await client.answer() == 3
        assert served.predicted == [[1], [2], [3]]
        client.close()

    serve(scenario)


def test_of_a_pipeline_whose_caller_goes_nothing_more_is_predicted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(served: Served) -> None:
        blocking, client = await served.connect(), await served.connect()
        blocking.send(1)
        await served.running()
        client.send(2, 3)
        await served.queued(1)
        client.reset()
        await served.queued(0)
        await served.executor.complete()
        assert await blocking.answer() == 1
        blocking.send(4)
        await served.running()
        await served.executor.complete()
        assert await blocking.answer() == 4
        assert served.predicted == [[1], [4]]
        blocking.close()

    serve(scenario)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_who_goes_while_the_prediction_runs_takes_nothing_with_them() -> None:
    async def scenario(served: Served) -> None:
        gone, stays = await served.connect(), await served.connect()
        gone.send(1)
        await served.running()
        stays.send(2)
        await served.queued(1)
        gone.reset()
        await until(lambda: served.batcher._running[0].answer.done())
        await served.executor.complete()
        await served.running()
        await served.executor.complete()
        assert await stays.answer() == 2
        assert served.predicted == [[1], [2]]
        stays.close()

    serve(scenario)
