"""The connections to the candidate: used again, bounded, given up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mainspring_runtime.serve.http import Request, Response
from mainspring_runtime.serve.splitting import outgoing
from mainspring_runtime.serve.splitting.outgoing import Exchange, Failure, Outcome, Pool
from tests.unit.runtime.serve.splitting.pods import (
    BRIEF_SECONDS,
    PATIENCE_SECONDS,
    STABLE,
    Scene,
    play,
    split_to,
    total,
    until,
)

OWN, CANDIDATES = 1.0, 1001.0  # what the two pods of `both` answer to 1.0


def test_the_connection_to_the_candidate_is_used_again(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both()
        caller = scene.caller(stable)
        assert (await caller.ask(1.0)).value == CANDIDATES
        before = set(candidate.listener.shared.connections)
        assert [(await caller.ask(1.0)).value for _ in range(5)] == [CANDIDATES] * 5
        assert candidate.listener.shared.connections == before
        assert len(before) == 1

    play(tmp_path, scenario)


def test_a_connection_that_was_closed_meanwhile_costs_nothing(tmp_path: Path) -> None:
    """The other side closes after each answer without having said so."""
    served: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        served.append(1)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n" + b'{"outputs": [{"data": [7]}]}')
        if len(served) % 2:
            await reader.read(1)  # the next request has come: gone without an answer
        writer.close()

    async def scenario(scene: Scene) -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        scene.later(server.close)
        stable = await scene.pod(STABLE)
        stable.apply(split_to(server.sockets[0].getsockname()[1], weight=100))
        caller = scene.caller(stable)
        assert [(await caller.ask(1.0)).value for _ in range(6)] == [7] * 6
        assert total(stable.counts.candidate) == (6, 0)
        assert len(served) == 6

    play(tmp_path, scenario)


def test_idle_connections_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both()
        await scene.caller(stable).ask(1.0)
        watching = asyncio.create_task(stable.splitting.watch())
        await asyncio.sleep(0)
        assert len(candidate.listener.shared.connections) == 1
        monkeypatch.setattr(outgoing, "IDLE_SECONDS", -1.0)
        await until(lambda: not candidate.listener.shared.connections)
        assert (await scene.caller(stable).ask(1.0)).value == CANDIDATES
        watching.cancel()

    play(tmp_path, scenario)


def test_no_connection_grows_old_so_that_pods_that_come_later_get_requests_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(scene: Scene) -> None:
        monkeypatch.setattr(outgoing, "AGE_SECONDS", -1.0)
        stable, candidate = await scene.both()
        caller = scene.caller(stable)
        for _ in range(3):
            assert (await caller.ask(1.0)).value == CANDIDATES
            await until(lambda: not candidate.listener.shared.connections)
        assert total(stable.counts.candidate) == (3, 0)

    play(tmp_path, scenario)


def test_an_answer_of_a_connection_that_was_given_up_reaches_nobody(tmp_path: Path) -> None:
    """The candidate answers after its time; the next request must not get that answer."""
    held: list[Request] = []

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(held.append)
        stable = await scene.pod(STABLE, request_seconds=BRIEF_SECONDS)
        stable.apply(split_to(candidate.port, weight=100))
        caller = scene.caller(stable)
        assert (await caller.ask(1.0)).value == OWN
        late = held.pop()
        late.respond(Response(200, b'{"outputs": [{"data": [-1]}]}'))
        asking = asyncio.create_task(caller.ask(1.0))
        await until(lambda: bool(held))
        held.pop().respond(Response(200, b'{"outputs": [{"data": [7]}]}'))
        assert (await asking).value == 7

    play(tmp_path, scenario)


def test_no_more_than_so_many_connections_are_open_and_the_rest_waits_for_them(tmp_path: Path) -> None:
    held: list[Request] = []

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(held.append)
        stable = await scene.pod(STABLE, request_seconds=60.0)
        stable.apply(split_to(candidate.port, weight=100))
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(scene.caller(stable).ask(1.0)) for _ in range(80)]
            await until(lambda: len(held) == 64)
            assert len(candidate.listener.shared.connections) == 64
            while len(candidate.asked) < 80 or held:
                for request in held:
                    request.respond(Response(200, b'{"outputs": [{"data": [7]}]}'))
                held.clear()
                await asyncio.sleep(0)
        assert {task.result().value for task in asking} == {7}

    play(tmp_path, scenario)


def test_whoever_waits_for_a_connection_hears_at_once_that_there_is_none(tmp_path: Path) -> None:
    """More requests than connections, and a candidate that refuses them all: nobody waits for the end of its time."""
    ended: list[Outcome] = []

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(lambda _request: None)
        candidate.listener.stop()
        await until(lambda: not candidate.listener.shared.connections)
        pool = Pool("127.0.0.1", candidate.port, most=1)
        for _ in range(4):
            pool.send(Exchange(b"", ended.append), PATIENCE_SECONDS / 2)
        await until(lambda: len(ended) == 4)
        assert ended == [Failure.UNREACHABLE] * 4

    play(tmp_path, scenario)
