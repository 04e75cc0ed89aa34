"""Notices on their way, to a real receiver on this machine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from mainspring.kube import webhooks
from mainspring.kube.outgoing import Outgoing
from mainspring.kube.webhooks import Webhooks
from mainspring.plan.common.objects import Ref
from mainspring.plan.common.plan import Delivery, Notice
from tests.sim.api import SimApi
from tests.sim.clock import Clock
from tests.sim.server import ApiServer
from tests.unit.kube.receiver import serving

MONITOR = Ref("ModelMonitor", "lab", "tumours")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Receiver:
    """Answers with one status after the other, the last one for ever; None hangs."""

    statuses: list[int | None]
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, str, Any]] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append((request.path, request.headers["Idempotency-Key"], await request.json()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            await self.release.wait()
        return web.Response(status=status or 200, headers=self.headers, text="an answer that nobody may see")


@dataclass
class Desk:
    webhooks: Webhooks
    server: ApiServer
    woken: asyncio.Queue[Ref] = field(default_factory=asyncio.Queue)

    async def send(self, *notices: Notice) -> Delivery:
        self.webhooks.put(MONITOR, notices, self.woken.put_nowait)
        assert await self.woken.get() == MONITOR
        return self.webhooks.deliveries(MONITOR)[notices[0].key]


@asynccontextmanager
async def desk(now: Callable[[], datetime] = lambda: NOW) -> AsyncIterator[Desk]:
    server = ApiServer(Clock())
    requests = Outgoing(local=True)
    found = Webhooks(SimApi(server), requests, now)
    try:
        yield Desk(found, server)
    finally:
        await found.close()
        await requests.close()


def notice(url: str | None, key: str = "k", **more: Any) -> Notice:
    return Notice(key=key, body={"event": "DriftDetected"}, url=url, **more)


async def test_a_notice_arrives_with_its_key() -> None:
    receiver = Receiver([200])
    async with desk() as found, serving(receiver.answer) as url:
        assert await found.send(notice(f"{url}/hook")) == Delivery(NOW, taken=True)
    assert receiver.got == [("/hook", "k", {"event": "DriftDetected"})]


async def test_a_failure_is_told_and_the_next_try_has_the_same_key() -> None:
    receiver = Receiver([500, 200])
    moments = iter([NOW, NOW + timedelta(seconds=10)])
    async with desk(lambda: next(moments)) as found, serving(receiver.answer) as url:
        assert await found.send(notice(url)) == Delivery(NOW, taken=False, error="it answers 500")
        again = await found.send(notice(url, attempted_at="2026-01-01T00:00:00Z"))
    assert again.taken
    assert [key for _, key, _ in receiver.got] == ["k", "k"]


@pytest.mark.parametrize(
    ("status", "headers", "final", "pause"),
    [
        (429, {"Retry-After": "120"}, False, 120.0),
        (503, {"Retry-After": "Thu, 01 Jan 2026 00:01:30 GMT"}, False, 90.0),
        (429, {"Retry-After": "999999"}, False, webhooks.RETRY_AFTER_MAX_SECONDS),
        (429, {"Retry-After": "soon"}, False, 0.0),
        (408, {}, False, 0.0),
        (502, {}, False, 0.0),
        (400, {}, True, 0.0),
        (401, {}, True, 0.0),
        (404, {}, True, 0.0),
        (302, {"Location": "http://127.0.0.1:1/"}, True, 0.0),
    ],
)
async def test_the_answer_says_whether_it_is_worth_another_try(
    status: int, headers: dict[str, str], final: bool, pause: float
) -> None:
    async with desk() as found, serving(Receiver([status], headers).answer) as url:
        told = await found.send(notice(url))
    assert (told.taken, told.final, told.retry_after) == (False, final, pause)
    assert str(status) in told.error
    assert "nobody may see" not in told.error


async def test_a_receiver_that_hangs_is_left_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 2.0)
    slow, quick = Receiver([None]), Receiver([200])
    async with desk() as found, serving(slow.answer) as hanging, serving(quick.answer) as url:
        found.webhooks.put(MONITOR, [notice(hanging, "slow")], found.woken.put_nowait)
        assert (await found.send(notice(url, "quick"))).taken
        assert "slow" not in found.webhooks.deliveries(MONITOR)
        await found.woken.get()
        slow.release.set()
        assert found.webhooks.deliveries(MONITOR)["slow"].error == "no answer within 2 s"


async def test_what_is_being_sent_or_has_a_result_that_nobody_saw_is_not_sent_again() -> None:
    receiver = Receiver([None, 200])
    async with desk() as found, serving(receiver.answer) as url:
        for _ in range(3):
            found.webhooks.put(MONITOR, [notice(url)], found.woken.put_nowait)
        receiver.release.set()
        await found.woken.get()
        found.webhooks.put(MONITOR, [notice(url)], found.woken.put_nowait)
        assert found.woken.empty()
        assert not found.webhooks._sending
    assert len(receiver.got) == 1


async def test_nobody_there_and_an_address_that_is_not_asked() -> None:
    async with desk() as found:
        refused = await found.send(notice("http://127.0.0.1:1/secret", "a"))
        forbidden = await found.send(notice("http://169.254.169.254/secret", "b"))
    assert (refused.final, refused.error) == (False, "the connection is refused")
    assert forbidden.final
    assert "secret" not in refused.error + forbidden.error


async def test_the_address_is_read_from_the_secret_each_time() -> None:
    receiver = Receiver([200])
    async with desk() as found, serving(receiver.answer) as url:
        missing = await found.send(notice(None, "a", url_key="chat"))
        assert missing.error == "there is no Secret mainspring-alerts: create it with the key chat"
        assert not missing.final
        metadata = {"name": "mainspring-alerts", "namespace": "lab"}
        address = base64.b64encode(f"{url}/T0/\n".encode()).decode()
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"chat": address}}
        found.server.apply(secret, "kubectl")
        other = await found.send(notice(None, "b", url_key="pager"))
        assert other.error == "the Secret mainspring-alerts has no key pager: add it, or correct webhook.urlKey"
        assert (await found.send(notice(None, "c", url_key="chat", path="/api/v2/alerts"))).taken
        assert (await found.send(notice(f"{url}/api/v2/alerts", "d", path="/api/v2/alerts"))).taken
    assert [path for path, _, _ in receiver.got] == ["/T0/api/v2/alerts", "/api/v2/alerts"]


async def test_the_end_waits_for_nobody() -> None:
    receiver = Receiver([None])
    async with desk() as found, serving(receiver.answer) as url:
        found.webhooks.put(MONITOR, [notice(url)], found.woken.put_nowait)
        await asyncio.sleep(0)
        await found.webhooks.close()
        assert not found.webhooks._sending
        receiver.release.set()


async def test_only_the_last_results_of_an_object_are_kept() -> None:
    receiver = Receiver([200])
    async with desk() as found, serving(receiver.answer) as url:
        for number in range(webhooks.KEPT + 3):
            await found.send(notice(url, str(number)))
        assert len(found.webhooks.deliveries(MONITOR)) == webhooks.KEPT
        found.webhooks.forget(MONITOR)
        assert not found.webhooks.deliveries(MONITOR)
