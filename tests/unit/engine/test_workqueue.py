"""The queue, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from mainspring.engine.workqueue import WorkQueue

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def drained(queue: WorkQueue[str]) -> list[str]:
    """Everything that waits now, each worked off at once."""
    found = []
    while not queue.idle:
        key = await queue.get()
        assert key is not None
        found.append(key)
        queue.done(key)
    return found


async def test_a_key_that_waits_is_handed_out_once() -> None:
    queue = WorkQueue[str]()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert await drained(queue) == ["a", "b"]


async def test_a_key_that_changes_while_it_is_worked_on_comes_once_more() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert not queue.idle
    queue.done("a")
    assert await drained(queue) == ["a"]


async def test_a_key_is_never_with_two_workers() -> None:
    queue, active, most = WorkQueue[str](), 0, 0

    async def work() -> None:
        nonlocal active, most
        while (key := await queue.get()) is not None:
            active += 1
            most = max(most, active)
            await asyncio.sleep(1)
            active -= 1
            queue.done(key)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work())
        for _ in range(5):
            queue.add("a")
            await asyncio.sleep(0.3)
        await asyncio.sleep(10)
        queue.close()
    assert most == 1


async def test_different_keys_are_worked_on_at_once() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_worker_waits_until_there_is_something() -> None:
    queue = WorkQueue[str]()
    asyncio.get_running_loop().call_later(5, queue.add, "a")
    started = asyncio.get_running_loop().time()
    assert await queue.get() == "a"
    assert asyncio.get_running_loop().time() - started == pytest.approx(5)


async def test_an_alarm_rings_after_its_time() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 60)
    assert queue.idle
    started = asyncio.get_running_loop().time()
    assert await queue.get() == "a"
    assert asyncio.get_running_loop().time() - started == pytest.approx(60)


@pytest.mark.parametrize(("first", "second", "rings"), [(60, 5, 5), (5, 60, 60)])
async def test_a_later_alarm_replaces_an_earlier_one(first: float, second: float, rings: float) -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", first)
    queue.add_after("a", second)
    started = asyncio.get_running_loop().time()
    await queue.get()
    assert asyncio.get_running_loop().time() - started == pytest.approx(rings)
    queue.done("a")
    await asyncio.sleep(100)
    assert queue.idle


async def test_work_on_a_key_makes_its_alarm_needless() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 60)
    queue.add("a")
    assert await drained(queue) == ["a"]
    await asyncio.sleep(100)
    assert queue.idle


async def test_an_alarm_that_rings_during_the_work_brings_the_key_once_more() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)
    await asyncio.sleep(2)
    queue.done("a")
    assert await drained(queue) == ["a"]


async def test_an_alarm_in_the_past_rings_at_once() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", -5)
    assert await queue.get() == "a"


async def test_a_forgotten_key_has_no_alarm() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 1)
    queue.forget("a")
    await asyncio.sleep(5)
    assert queue.idle


async def test_a_closed_queue_lets_all_workers_go_and_takes_nothing() -> None:
    queue = WorkQueue[str]()
    workers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.add_after("b", 1)
    queue.close()
    queue.add("a")
    queue.add_after("a", 1)
    assert await asyncio.gather(*workers) == [None, None, None]
    await asyncio.sleep(5)
    assert await queue.get() is None
    assert len(queue) == 0
