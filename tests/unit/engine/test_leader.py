"""The leader's Lease, on an API server that knows nothing but Leases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mainspring.engine import leader
from mainspring.engine.leader import Leader
from mainspring.kube import errors

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]
EPOCH = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)


def now() -> datetime:
    """The clock runs with the loop."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


class Leases:
    """GET, POST and PUT with resourceVersions; can be down."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False
        self.version = 0

    async def request(self, verb: str, path: str, kind: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.down:
            raise errors.Transient("the server does not answer")
        if verb == "GET":
            return self._read()
        assert body is not None
        if (verb == "POST") != (self.lease is None):
            raise errors.Conflict("exists, or not")
        known = (self.lease or {"metadata": {}})["metadata"].get("resourceVersion")
        if body["metadata"].get("resourceVersion") != known:
            raise errors.Conflict("old")
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    def _read(self) -> dict[str, Any]:
        if self.lease is None:
            raise errors.NotFound("no Lease")
        return self.lease

    @property
    def holder(self) -> str:
        return str((self.lease or {"spec": {}})["spec"].get("holderIdentity", ""))


def candidate(api: Leases, identity: str) -> Leader:
    return Leader(api, "system", "operator", identity, now)


async def test_the_first_takes_the_lease() -> None:
    api = Leases()
    await candidate(api, "a").acquire()
    assert api.holder == "a"
    assert api.lease is not None
    assert api.lease["spec"]["leaseDurationSeconds"] == leader.LEASE_SECONDS


async def test_the_second_waits_until_the_lease_has_run_out() -> None:
    api = Leases()
    await candidate(api, "a").acquire()
    started = asyncio.get_running_loop().time()
    await candidate(api, "b").acquire()
    assert api.holder == "b"
    waited = asyncio.get_running_loop().time() - started
    assert leader.LEASE_SECONDS < waited <= leader.LEASE_SECONDS + leader.RETRY_SECONDS + 0.1
    assert api.lease is not None
    assert api.lease["spec"]["leaseTransitions"] == 2


@pytest.mark.parametrize("hours", [-1, 1])
async def test_clocks_that_differ_neither_hasten_nor_delay_a_takeover(hours: int) -> None:
    api = Leases()
    await candidate(api, "a").acquire()
    started = asyncio.get_running_loop().time()
    await Leader(api, "system", "operator", "b", lambda: now() + timedelta(hours=hours)).acquire()
    waited = asyncio.get_running_loop().time() - started
    assert leader.LEASE_SECONDS < waited <= leader.LEASE_SECONDS + leader.RETRY_SECONDS + 0.1


async def test_of_two_at_once_one_is_refused() -> None:
    api = Leases()
    done, waiting = await asyncio.wait(
        [asyncio.ensure_future(candidate(api, name).acquire()) for name in ("a", "b")], timeout=5
    )
    assert (len(done), len(waiting)) == (1, 1)
    for task in waiting:
        task.cancel()


async def test_a_lease_that_is_kept_does_not_run_out() -> None:
    api = Leases()
    first = candidate(api, "a")
    await first.acquire()
    keeping = asyncio.ensure_future(first.keep())
    second = asyncio.ensure_future(candidate(api, "b").acquire())
    await asyncio.sleep(300)
    assert api.holder == "a"
    assert not keeping.done()
    assert not second.done()
    keeping.cancel()
    second.cancel()


async def test_a_released_lease_is_free_at_once() -> None:
    api = Leases()
    first = candidate(api, "a")
    await first.acquire()
    await first.release()
    started = asyncio.get_running_loop().time()
    await candidate(api, "b").acquire()
    assert asyncio.get_running_loop().time() - started < 1


async def test_somebody_elses_lease_is_not_released() -> None:
    api = Leases()
    await candidate(api, "a").acquire()
    await candidate(api, "b").release()
    assert api.holder == "a"


async def test_keeping_ends_when_the_server_is_silent_for_too_long() -> None:
    api = Leases()
    first = candidate(api, "a")
    await first.acquire()
    api.down = True
    started = asyncio.get_running_loop().time()
    await first.keep()
    assert leader.LEASE_SECONDS < asyncio.get_running_loop().time() - started < leader.LEASE_SECONDS + 10


async def test_a_short_silence_is_survived() -> None:
    api = Leases()
    first = candidate(api, "a")
    await first.acquire()
    keeping = asyncio.ensure_future(first.keep())
    api.down = True
    await asyncio.sleep(8)
    api.down = False
    await asyncio.sleep(60)
    assert not keeping.done()
    keeping.cancel()


async def test_a_silent_server_does_not_stop_a_release() -> None:
    api = Leases()
    first = candidate(api, "a")
    await first.acquire()
    api.down = True
    await first.release()


async def test_a_restarted_process_of_the_same_name_goes_on_at_once() -> None:
    api = Leases()
    await candidate(api, "a").acquire()
    await candidate(api, "a").acquire()
    assert api.lease is not None
    assert api.lease["spec"]["leaseTransitions"] == 1
