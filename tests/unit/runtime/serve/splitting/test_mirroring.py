"""Copies for the candidate: never returned, bounded, compared, and counted apart on both sides."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainspring_runtime.serve.http import Request, Response
from mainspring_runtime.serve.splitting.agreement import ENOUGH
from mainspring_runtime.serve.splitting.mirror import MOST
from tests.unit.runtime.serve.splitting.pods import (
    BRIEF_SECONDS,
    CANDIDATE,
    INFER,
    PREDICT,
    STABLE,
    Pod,
    Scene,
    Shifted,
    play,
    rows,
    split_to,
    total,
    until,
)


async def mirrored(stable: Pod, requests: int) -> None:
    """Until so many copies came back."""
    await until(lambda: stable.counts.mirrored.requests == requests)


def test_the_stable_answer_is_returned_and_the_candidate_s_compared(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        candidate = await scene.pod(CANDIDATE, Shifted(5.0, lambda radius: radius % 4 == 0))
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, mirror=100))
        caller = scene.caller(stable)
        answers = [await caller.post(rows(range(start, start + 40))) for start in (0, 40, 80)]
        values = [value for answer in answers for value in json.loads(answer.body)["outputs"][0]["data"]]
        assert values == list(range(120))
        await mirrored(stable, 3)
        counts = stable.counts
        assert (total(counts.mirrored), total(counts.stable)) == ((3, 0), (3, 0))
        assert (counts.compared, counts.disagreed) == (120, 30)
        assert sum(counts.mirrored.seconds.values()) == 3

    play(tmp_path, scenario)


def test_copies_are_counted_nowhere_as_a_user_s_request(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=0, mirror=100)
        observed: list[list[bool]] = []
        assert candidate.app.model is not None
        candidate.app.model.batcher._observe = lambda _predicted, answered: observed.append(list(answered))
        caller = scene.caller(stable)
        body = json.loads(rows([1.0]))
        body["inputs"][0] |= {"datatype": "INT64", "data": [1, 0]}
        await caller.post(json.dumps(body).encode())
        await caller.post(b"{}")
        await mirrored(stable, 2)
        assert observed == [[False]]
        assert candidate.tallies.requests == {200: 0}
        assert candidate.tallies.coerced_values == 0
        assert sum(candidate.tallies.request_seconds.counts) == 0
        assert candidate.splitting.tallies.shadow == {200: 1, 400: 1}
        assert stable.tallies.requests == {200: 1, 400: 1}
        assert total(stable.counts.mirrored) == (2, 0), "both refused the second"
        answer = await scene.caller(candidate).ask(1.0, mainspring_shadow="1")
        assert answer.status == 200
        assert candidate.tallies.requests == {200: 1}, "a caller of its own is a user, whatever it says"

    play(tmp_path, scenario)


def test_only_the_share_is_copied(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=50, mirror=20)
        caller = scene.caller(stable)
        for _ in range(200):
            await caller.ask(1.0)
        await mirrored(stable, 20)
        assert [arm.requests for arm in (stable.counts.stable, stable.counts.candidate)] == [100, 100]
        assert candidate.splitting.tallies.shadow == {200: 20}

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("status", "kind"), [(500, "500"), (404, "404"), (0, "unreachable")], ids=["500", "404", "refused"]
)
def test_a_candidate_that_fails_a_copy_fails_nobody(tmp_path: Path, status: int, kind: str) -> None:
    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(lambda _request: Response(status, b"{}"))
        if not status:
            candidate.listener.stop()
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, mirror=100))
        assert (await scene.caller(stable).ask(1.0)).value == 1.0
        await mirrored(stable, 1)
        assert stable.counts.mirrored.failures == {kind: 1}

    play(tmp_path, scenario)


def test_a_candidate_that_never_answers_copies_times_out_and_then_gets_none(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(lambda _request: None)
        stable = await scene.pod(STABLE, request_seconds=BRIEF_SECONDS)
        stable.apply(split_to(candidate.port, mirror=100))
        caller = scene.caller(stable)
        for _ in range(5):
            await caller.ask(1.0)
        await mirrored(stable, 5)
        await caller.ask(1.0)
        await mirrored(stable, 6)
        assert stable.counts.mirrored.failures == {"timeout": 5, "unavailable": 1}
        assert stable.counts.mirrored.seconds == {129: 5}

    play(tmp_path, scenario)


def test_copies_are_bounded_and_the_rest_is_counted_as_skipped(tmp_path: Path) -> None:
    held: list[Request] = []

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(held.append)
        stable = await scene.pod(STABLE, request_seconds=60.0)
        stable.apply(split_to(candidate.port, mirror=100))
        caller = scene.caller(stable)
        for _ in range(MOST + 10):
            assert (await caller.ask(1.0)).value == 1.0
        await until(lambda: len(held) == MOST)
        assert stable.counts.skipped == 10
        for request in held:
            request.respond(Response(500, b""))
        await mirrored(stable, MOST)
        assert len(candidate.asked) == MOST

    play(tmp_path, scenario)


def test_what_the_model_of_the_stable_pod_fails_is_copied_too(tmp_path: Path) -> None:
    """Else the candidate would be compared on the easier requests, and seem better than it is."""

    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=0, mirror=100)
        stable.predictor.error = candidate.predictor.error = ZeroDivisionError
        caller = scene.caller(stable)
        assert (await caller.ask(666.0)).status == 500
        assert (await caller.ask(1.0)).status == 200
        await mirrored(stable, 2)
        counts = stable.counts
        assert (total(counts.stable), counts.stable.failures) == ((2, 1), {"500": 1})
        assert (total(counts.mirrored), counts.mirrored.failures) == ((2, 1), {"500": 1})
        assert counts.compared == counts.disagreed == 0

    play(tmp_path, scenario)


def test_what_a_stable_pod_has_no_time_for_is_not_copied(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=0, mirror=100)
        stable.app.model, model = None, stable.app.model
        caller = scene.caller(stable)
        assert (await caller.ask(1.0)).status == 503
        stable.app.model = model
        assert (await caller.ask(1.0)).status == 200
        await mirrored(stable, 1)
        assert total(stable.counts.stable) == (2, 1)
        assert candidate.splitting.tallies.shadow == {200: 1}

    play(tmp_path, scenario)


def tensor(name: str, data: list[Any], datatype: str = "FP64", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def body_of(*outputs: dict[str, Any]) -> bytes:
    return json.dumps({"model_name": "m", "model_version": "1", "outputs": outputs}).encode()


def binary_body(values: list[float]) -> Response:
    blob = np.array(values, dtype="<f8").tobytes()
    output = {
        "name": "predict",
        "datatype": "FP64",
        "shape": [len(values)],
        "parameters": {"binary_data_size": len(blob)},
    }
    content = body_of(output)
    return Response(200, content + blob, ((b"inference-header-content-length", b"%d" % len(content)),))


def test_answers_in_bytes_are_compared_with_those_in_json_and_compressed_ones(tmp_path: Path) -> None:
    """The caller asks as it likes; the candidate here answers always in bytes, and compressed."""
    numbers = [float(number) for number in range(2, 4000)]

    def answer(_request: Request) -> Response:
        made = binary_body([*numbers[:-1], -5.0])
        return Response(200, gzip.compress(made.body), (*made.headers, (b"content-encoding", b"gzip")))

    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(answer)
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, mirror=100))
        caller = scene.caller(stable)
        body = rows(number if number != 666 else 666.5 for number in numbers)  # the model does not take 666
        for accepted in ("identity", "gzip"):
            found = await caller.post(body, INFER, accept_encoding=accepted)
            assert (b"content-encoding" in found.headers) == (accepted == "gzip")
        await mirrored(stable, 2)
        counts = stable.counts
        assert counts.compared == 2 * len(numbers)
        assert counts.disagreed == 2, "the last one of each"

    play(tmp_path, scenario)


def test_v1_answers_are_compared_too(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        candidate = await scene.pod(CANDIDATE, Shifted(5.0, lambda radius: radius == 7))
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, mirror=100))
        body = json.dumps({"instances": [[number, 0] for number in range(50)]}).encode()
        answer = await scene.caller(stable).post(body, PREDICT)
        assert json.loads(answer.body)["predictions"][7] == 7.0
        await mirrored(stable, 1)
        assert (stable.counts.compared, stable.counts.disagreed) == (50, 1)

    play(tmp_path, scenario)


def test_what_is_learnt_of_the_answers_stays_within_a_rollout(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=0, shift=0.0, mirror=100)
        caller = scene.caller(stable)
        await caller.post(rows(range(ENOUGH)))
        await mirrored(stable, 1)
        stable.apply(split_to(candidate.port, mirror=100, stage=1))
        await caller.ask(1.0)
        await mirrored(stable, 1)
        assert stable.counts.compared == 1
        stable.apply(split_to(candidate.port, mirror=100, rollout="r2"))
        await caller.ask(1.0)
        await mirrored(stable, 1)
        assert stable.counts.compared == 0, "nothing is known yet of how much numbers vary"

    play(tmp_path, scenario)


def test_a_copy_is_made_after_the_answer_was_written(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        seen: list[bool] = []
        candidate = await scene.scripted(lambda _request: Response(500, b""))
        stable = await scene.pod(STABLE)
        stable.apply(split_to(candidate.port, mirror=100))
        assert stable.splitting.division is not None
        mirror = stable.splitting.division.mirror
        original = mirror.copy

        def copy(*arguments: Any) -> None:
            seen.append(all(connection.is_idle for connection in stable.listener.shared.connections))
            original(*arguments)

        mirror.copy = copy  # type: ignore[method-assign, assignment]
        await scene.caller(stable).ask(1.0)
        await mirrored(stable, 1)
        assert seen == [True]

    play(tmp_path, scenario)
