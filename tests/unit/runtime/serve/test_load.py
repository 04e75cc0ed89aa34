"""What a server has to do: counted where requests are taken up, and balanced whatever becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.api import load as contract
from mainspring_runtime.serve import load as loads
from mainspring_runtime.serve.connection import Connection, Shared
from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.internal import InternalApp
from mainspring_runtime.serve.load import Load
from mainspring_runtime.serve.metrics import ServerCollector, Tallies, make_registry
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.splitting.splitting import Splitting
from tests.unit.runtime.serve.fakes import LIMITS
from tests.unit.runtime.serve.wired import MemoryTransport, Wired

POST = b"POST /later HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(spans=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=12))
def test_the_integral_is_the_time_of_all_requests(spans: Sequence[tuple[int, int]]) -> None:
    clock, times = Clock(), sorted([(b, 1) for b, _ in spans] + [(b + length, -1) for b, length in spans], key=_order)
    load = Load(clock)
    for at, change in times:
        clock.now = 1000.0 + at
        load.begin() if change > 0 else load.end()
    told = load.snapshot()
    assert told.busy_seconds == sum(length for _, length in spans)
    assert (told.requests, told.in_flight) == (len(spans), 0)


def _order(item: tuple[int, int]) -> tuple[int, int]:
    return item[0], -item[1]


def test_a_request_that_is_not_answered_yet_counts_as_far_as_it_is() -> None:
    clock = Clock()
    load = Load(clock)
    load.begin()
    clock.now += 3
    told = load.snapshot()
    assert (told.in_flight, told.busy_seconds, told.seconds) == (1, 3.0, 3.0)


class Caller:
    def __init__(self) -> None:
        self.load, self.asked = Load(), list[Request]()
        routes = {"/later": Route("POST", self._later, 100, load=self.load), "/now": Route("GET", lambda _: OK)}
        self.connection = Connection(Shared(Router(routes, "a test"), replace(LIMITS, body_bytes=100)))
        self.transport = MemoryTransport(self.connection)

    def _later(self, request: Request) -> None:
        self.asked.append(request)


OK = Response(200, b"{}")


async def test_requests_count_from_when_they_are_taken_up_until_they_are_answered() -> None:
    caller = Caller()
    caller.connection.data_received(POST + POST)
    assert (caller.load.in_flight, caller.load.requests) == (1, 1), "one connection asks one thing after the other"
    caller.asked[0].respond(OK)
    assert (caller.load.in_flight, caller.load.requests) == (1, 2)
    caller.asked[1].respond(OK)
    assert caller.load.in_flight == 0


async def test_who_goes_away_is_not_in_flight() -> None:
    caller = Caller()
    caller.connection.data_received(POST)
    caller.transport.close()
    await asyncio.sleep(0)
    assert caller.load.in_flight == 0
    caller.asked[0].respond(OK)
    assert caller.load.in_flight == 0


@pytest.mark.parametrize(
    "request_", [b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n", b"POST /later HTTP/1.1\r\nhost: x\r\ncontent-length: 101\r\n\r\n" + b"x" * 101]
)  # fmt: skip
async def test_what_is_no_inference_or_is_refused_is_never_in_flight(request_: bytes) -> None:
    caller = Caller()
    caller.connection.data_received(request_)
    assert caller.load.in_flight == 0


async def test_the_internal_port_tells_it_as_the_contract_says() -> None:
    clock = Clock()
    tallies = Tallies(load=Load(clock))
    tallies.load.begin()
    clock.now += 3
    splitting = Splitting("tumours-1", "/nowhere", "1.0", tallies, LIMITS)
    app = InternalApp(make_registry(ServerCollector("tumours", "3", tallies)), Monitor(), splitting, tallies.load)
    async with httpx.AsyncClient(transport=Wired(app.router, LIMITS), base_url="http://test") as client:
        told = contract.Load.model_validate_json((await client.get(contract.LOAD_PATH)).content)
        assert (told.requests, told.in_flight) == (1, 1)
        assert (told.busy_seconds, told.seconds) == (3.0, 3.0)
        metrics = (await client.get("/metrics")).text
    assert 'mainspring_requests_in_flight{model="tumours",version="3"} 1.0' in metrics


def test_the_two_forms_of_the_contract_are_one() -> None:
    told = msgspec.json.encode(Load().snapshot())
    assert contract.Load.model_validate_json(told).to_dict() == msgspec.json.decode(told)
    assert loads.LOAD_PATH == contract.LOAD_PATH
