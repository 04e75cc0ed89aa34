"""Requests that go to the candidate, and what users see when it fails."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring.api.splitting import SECONDS_HEADER
from mainspring_runtime.serve.http import Request, Response
from mainspring_runtime.serve.tensors import Array
from tests.unit.runtime.serve.fakes import SumPredictor
from tests.unit.runtime.serve.splitting.pods import (
    BRIEF_SECONDS,
    INFER,
    PREDICT,
    STABLE,
    Caller,
    Scene,
    play,
    rows,
    split_to,
    total,
    until,
)

OWN, CANDIDATES = 1.0, 1001.0  # what the two pods of `both` answer to 1.0
SLOW_SECONDS = 0.1


class Slow(SumPredictor):
    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        time.sleep(SLOW_SECONDS)
        return super().predict(columns, outputs)


def test_a_forwarded_request_gets_the_candidate_s_answer_and_counts_there_alone(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(stage=3)
        answer = await scene.caller(stable).ask(1.0)
        assert (answer.status, answer.value) == (200, CANDIDATES)
        assert b"mainspring-seconds" not in answer.headers
        assert answer.headers[b"content-type"] == b"application/json"
        assert stable.tallies.requests[200] == 0
        assert candidate.tallies.requests[200] == 1
        counts = stable.counts
        assert (counts.stage, total(counts.candidate), total(counts.stable)) == (3, (1, 0), (0, 0))
        assert sum(counts.candidate.seconds.values()) == 1

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (INFER, b'{"any": "thing"}', {}),
        (PREDICT, b"not even JSON", {}),
        (INFER, gzip.compress(b'{"any": "thing"}'), {"content_encoding": "gzip"}),
        (PREDICT, gzip.compress(b'{"any": "thing"}'), {"content_encoding": "gzip"}),
        (INFER, b"\x00\xff\x00", {"content_type": "application/octet-stream", "inference_header_content_length": "2"}),
    ],
    ids=["v2", "v1", "v2 gzip", "v1 gzip", "v2 binary"],
)
def test_bodies_and_what_describes_them_pass_through_byte_for_byte(
    tmp_path: Path, path: str, body: bytes, headers: dict[str, str]
) -> None:
    given = (("content-encoding", "gzip"), ("inference-header-content-length", "3"), ("vary", "accept-encoding"))

    def answer(_request: Request) -> Response:
        sent = tuple((name.encode(), value.encode()) for name, value in given)
        return Response(200, b"\x00\x01\x02\xff", (*sent, (b"mainspring-seconds", b"0.1")), b"application/octet-stream")

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(answer)
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=100))
        found = await scene.caller(stable).post(body, path, accept_encoding="gzip", authorization="secret", **headers)
        assert (found.status, found.body) == (200, b"\x00\x01\x02\xff")
        assert found.headers[b"content-type"] == b"application/octet-stream"
        assert {name: found.headers[name.encode()] for name, _ in given} == {
            name: value.encode() for name, value in given
        }
        (asked,) = candidate.asked
        assert asked.body == body
        expected = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        assert expected.items() <= asked.headers.items()
        assert asked.headers[b"mainspring-forwarded"] == STABLE.encode()
        assert b"authorization" not in asked.headers
        assert asked.headers[b"accept-encoding"] == b"gzip"

    play(tmp_path, scenario)


def test_a_large_answer_is_compressed_for_who_takes_that_by_whoever_answers(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, _ = await scene.both()
        answer = await scene.caller(stable).post(rows([1.0] * 5000), accept_encoding="gzip")
        assert answer.headers[b"content-encoding"] == b"gzip"
        assert json.loads(gzip.decompress(answer.body))["outputs"][0]["data"][1] == 1001.0

    play(tmp_path, scenario)


async def refusing(scene: Scene) -> int:
    """A port that is taken, so that nobody else comes to listen there, but not listened on."""
    taken = socket.socket()
    scene.later(taken.close)
    taken.bind(("127.0.0.1", 0))
    return int(taken.getsockname()[1])


def answering(status: int) -> Callable[[Scene], Awaitable[int]]:
    async def start(scene: Scene) -> int:
        return (await scene.scripted(lambda _request: Response(status, b'{"error": "no"}'))).port

    return start


async def silent(scene: Scene) -> int:
    return (await scene.scripted(lambda _request: None)).port


def writing(content: bytes) -> Callable[[Scene], Awaitable[int]]:
    """Writes this to whoever sends something, and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(content)
        await writer.drain()
        writer.close()

    async def start(scene: Scene) -> int:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        scene.later(server.close)
        return int(server.sockets[0].getsockname()[1])

    return start


@pytest.mark.parametrize(
    ("start", "kind", "bucket"),
    [
        (refusing, "unreachable", None),
        (silent, "timeout", 129),
        (answering(500), "500", None),
        (answering(503), "503", None),
        (answering(404), "404", None),
        (writing(b""), "broken", None),
        (writing(b"not HTTP at all\r\n\r\n"), "broken", None),
        (writing(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"), "broken", None),
        (writing(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n"), "broken", None),
        (writing(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), "broken", None),
    ],
    ids=["refused", "silent", "500", "503", "404", "closed", "garbage", "cut off", "too much", "upgrade"],
)
def test_whatever_the_candidate_does_the_caller_gets_the_stable_answer_and_the_candidate_the_error(
    tmp_path: Path, start: Callable[[Scene], Awaitable[int]], kind: str, bucket: int | None
) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE, **({"request_seconds": BRIEF_SECONDS} if kind == "timeout" else {}))
        stable.apply(split_to(await start(scene), weight=100))
        answer = await scene.caller(stable).ask(1.0)
        assert (answer.status, answer.value) == (200, OWN)
        counts = stable.counts
        assert (total(counts.candidate), counts.candidate.failures) == ((1, 1), {kind: 1})
        assert total(counts.stable) == (0, 0), "it was not drawn for it"
        assert bucket is None or counts.candidate.seconds == {bucket: 1}
        assert stable.tallies.requests == {200: 1}

    play(tmp_path, scenario)


def test_a_request_that_takes_the_stable_pod_as_long_is_slow_and_no_error(tmp_path: Path) -> None:
    """The time of the candidate follows from most requests, and one in a hundred may be far larger."""

    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE, Slow())
        stable.apply(split_to(await silent(scene), weight=100))
        assert stable.splitting.division is not None
        stable.splitting.division.budget.seconds = SLOW_SECONDS / 2
        assert (await scene.caller(stable).ask(1.0)).value == OWN
        assert (total(stable.counts.candidate), stable.counts.candidate.seconds) == ((1, 0), {129: 1})

    play(tmp_path, scenario)


def test_what_both_refuse_is_an_error_of_neither(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, _ = await scene.both()
        answer = await scene.caller(stable).post(b'{"inputs": []}')
        assert (answer.status, b"no inputs" in answer.body) == (400, True)
        assert total(stable.counts.candidate) == (1, 0)
        broken = await scene.caller(stable).ask(666.0)
        assert broken.status == 400, "the model itself refuses it, later"
        assert total(stable.counts.candidate) == (2, 0)

    play(tmp_path, scenario)


def test_a_name_that_nobody_knows_is_unreachable(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        stable.apply(split_to(8080, weight=100, host="candidate.invalid"))
        assert (await scene.caller(stable).ask(1.0)).value == OWN
        assert stable.counts.candidate.errors == 1

    play(tmp_path, scenario)


@pytest.mark.parametrize("status", [0, 404, 500], ids=["refused", "a stranger's 404", "a stranger's 500"])
def test_a_way_that_is_only_opening_is_no_error_of_the_candidate(tmp_path: Path, status: int) -> None:
    """A Service leads to pods that are ready only a moment after they are; till then to nobody, or to somebody else."""

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(lambda _request: Response(status, b""))
        if not status:
            candidate.listener.stop()
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=100))
        caller = scene.caller(stable)
        for _ in range(7):  # more than the breaker lets pass
            assert (await caller.ask(1.0)).value == OWN
        assert total(stable.counts.candidate) == (0, 0)
        assert stable.splitting.division is not None
        assert not stable.splitting.division.lane.breaker.is_open

    play(tmp_path, scenario)


def test_the_candidates_own_refusals_count_although_the_way_is_only_opening(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(lambda _request: Response(400, b"{}", ((SECONDS_HEADER, b"0.001"),)))
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=100))
        assert (await scene.caller(stable).ask(1.0)).value == OWN
        assert total(stable.counts.candidate) == (1, 1)

    play(tmp_path, scenario)


def test_after_five_failures_in_a_row_callers_do_not_wait_until_a_try_succeeds(tmp_path: Path) -> None:
    well = asyncio.Event()

    def answer(_request: Request) -> Response:
        return Response(200, b'{"outputs": [{"data": [7]}]}') if well.is_set() else Response(500, b"")

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(answer)
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=100))
        caller = scene.caller(stable)
        for _ in range(8):
            assert (await caller.ask(1.0)).value == OWN
        assert len(candidate.asked) == 5
        assert stable.counts.candidate.failures == {"500": 5, "unavailable": 3}
        well.set()
        answers = [await caller.ask(1.0)]
        while answers[-1].value == OWN:
            answers.append(await caller.ask(1.0))
        assert answers[-1].value == 7
        assert len(candidate.asked) == 6, "one try, after a second"
        assert (await caller.ask(1.0)).value == 7

    play(tmp_path, scenario)


def test_a_caller_that_goes_away_takes_its_forwarded_request_along(tmp_path: Path) -> None:
    gone = asyncio.Event()

    def wait(request: Request) -> None:
        request.on_gone = gone.set

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(wait)
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=100))
        caller = Caller(stable.port)
        body = rows([1.0])
        await caller.send(
            b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (INFER.encode(), len(body), body)
        )
        await until(lambda: bool(candidate.asked))
        await caller.close()
        await gone.wait()
        assert total(stable.counts.candidate) == (1, 0)
        assert stable.tallies.requests == {200: 0}, "nobody is left to be answered"

    play(tmp_path, scenario)


def test_a_forwarded_request_is_never_forwarded_again(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        stable.apply(split_to(stable.port, weight=100))  # in a circle
        answer = await scene.caller(stable).ask(1.0)
        assert (answer.status, answer.value) == (200, OWN)
        assert total(stable.counts.candidate) == (1, 0)
        assert stable.tallies.requests == {200: 1}
        direct = await scene.caller(stable).ask(1.0, mainspring_forwarded="x")
        assert float(direct.headers[b"mainspring-seconds"]) > 0
        assert stable.counts.candidate.requests == 1

    play(tmp_path, scenario)


def test_a_version_that_is_asked_by_its_number_is_never_another(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(mirror=100)
        answer = await scene.caller(stable).post(rows([1.0]), "/v2/models/tumours/versions/3/infer")
        assert answer.value == OWN
        assert candidate.predictor.calls == []
        assert total(stable.counts.stable) == (0, 0)

    play(tmp_path, scenario)


@pytest.mark.parametrize("draining", ["stable", "candidate"])
def test_a_pod_that_drains_under_load_fails_no_request(tmp_path: Path, draining: str) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=50)
        drained = asyncio.Event()
        values: list[float] = []

        async def ask() -> None:
            caller = scene.caller(stable)
            while not drained.is_set():
                answer = await caller.ask(1.0)
                assert answer.status == 200
                values.append(answer.value)

        async def drain() -> None:
            await until(lambda: len(values) > 300)
            await (stable if draining == "stable" else candidate).listener.drain()
            drained.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask() if draining == "candidate" else suppressed(ask()))
            group.create_task(drain())
        assert set(values) == {OWN, CANDIDATES}
        counts = stable.counts
        assert counts.candidate.requests > 100
        if draining == "stable":
            assert counts.candidate.errors == 0

    async def suppressed(asking: Any) -> None:
        """Whoever comes after the port is closed is refused, as by any pod that is gone."""
        try:
            await asking
        except ConnectionRefusedError:
            return

    play(tmp_path, scenario)


def test_requests_on_their_way_get_their_answers_when_the_split_ends(tmp_path: Path) -> None:
    held: list[Request] = []

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(held.append)
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=100))
        asking = asyncio.create_task(scene.caller(stable).ask(1.0))
        await until(lambda: bool(held))
        stable.apply(None)
        held[0].respond(Response(200, b'{"outputs": [{"data": [7]}]}'))
        assert (await asking).value == 7
        await until(lambda: not candidate.listener.shared.connections)
        assert (await scene.caller(stable).ask(1.0)).value == OWN
        assert total(stable.counts.candidate) == (1, 0), "the counts stay"

    play(tmp_path, scenario)
