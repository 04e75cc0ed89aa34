"""One look after the other at servers that count since their start."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.api.load import Load
from mainspring.api.monitoring import Reference, Snapshot
from mainspring.controllers.loads import LoadReader
from mainspring.kube import servers
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.inferenceservice.observed import Loads, Rate

SERVICE = Ref("InferenceService", "lab", "tumours")


class Told:
    """Answers by address; who is not there is silent."""

    def __init__(self) -> None:
        self.loads: dict[str, Load] = {}

    async def load(self, address: str) -> Load:
        if address not in self.loads:
            raise servers.Silent("/load does not answer: TimeoutError")
        return self.loads[address]

    async def snapshot(self, address: str) -> Snapshot:
        raise AssertionError(address)

    async def reference(self, address: str) -> Reference:
        raise AssertionError(address)


def pod(name: str, ip: str, ready: str = "True", **metadata: Any) -> Object:
    status = {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "lab", **metadata}, "status": status}


def load(seconds: float, requests: int = 0, busy: float = 0.0, epoch: str = "one") -> Load:
    return Load(epoch=epoch, seconds=seconds, requests=requests, in_flight=0, busy_seconds=busy)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reader(told: Told) -> LoadReader:
    return LoadReader(told)


POD = pod("a", "10.0.0.1")


async def test_it_takes_two_looks_to_know_a_rate(told: Told, reader: LoadReader) -> None:
    told.loads["10.0.0.1:8081"] = load(100, requests=1000, busy=10)
    assert await reader.read(SERVICE, [POD]) == Loads({"a": None})
    told.loads["10.0.0.1:8081"] = load(105, requests=1200, busy=25)
    assert await reader.read(SERVICE, [POD]) == Loads({"a": Rate(concurrency=3.0, requests_per_second=40.0)})


async def test_looks_that_are_too_near_say_what_was_known(told: Told, reader: LoadReader) -> None:
    for seconds, requests in ((100, 0), (105, 50), (105.1, 90)):
        told.loads["10.0.0.1:8081"] = load(seconds, requests=requests)
        found = await reader.read(SERVICE, [POD])
    assert found == Loads({"a": Rate(0.0, 10.0)})
    told.loads["10.0.0.1:8081"] = load(110, requests=100)
    assert await reader.read(SERVICE, [POD]) == Loads({"a": Rate(0.0, 10.0)}), "of all since the look that counted"


async def test_a_server_that_was_started_anew_begins_anew(told: Told, reader: LoadReader) -> None:
    told.loads["10.0.0.1:8081"] = load(100, requests=1000)
    await reader.read(SERVICE, [POD])
    told.loads["10.0.0.1:8081"] = load(2, requests=5, epoch="two")
    assert await reader.read(SERVICE, [POD]) == Loads({"a": None})


async def test_who_does_not_answer_is_silent_and_who_is_not_ready_is_not_asked(told: Told, reader: LoadReader) -> None:
    leaving = pod("c", "10.0.0.3", deletionTimestamp="2025-06-02T08:00:00Z")
    found = await reader.read(SERVICE, [POD, pod("b", "10.0.0.2", ready="False"), leaving])
    assert found == Loads({}, frozenset({"a"}))


async def test_a_service_that_is_gone_is_forgotten(told: Told, reader: LoadReader) -> None:
    told.loads["10.0.0.1:8081"] = load(100)
    await reader.read(SERVICE, [POD])
    reader.forget(SERVICE)
    told.loads["10.0.0.1:8081"] = load(105, requests=50)
    assert await reader.read(SERVICE, [POD]) == Loads({"a": None})
