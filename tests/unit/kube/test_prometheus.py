"""What a Prometheus answers, and what others answer in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from mainspring.kube import prometheus
from mainspring.kube.outgoing import Outgoing
from mainspring.kube.prometheus import HttpPrometheus, PrometheusError, Refused, Unavailable
from mainspring.plan.modelmonitor.series import Sample
from tests.unit.kube.receiver import serving

VECTOR = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "up", "pod": "a"}, "value": [1.5, "12"]},
            {"metric": {}, "value": [1.5, "NaN"]},
            {"metric": {}, "value": [1.5, "+Inf"]},
        ],
    },
}


async def ask(
    body: Any, status: int = 200, at: float | None = None, path: str = ""
) -> tuple[list[Sample], dict[str, str]]:
    got: dict[str, str] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        got.update({"path": request.path, **{key: str(value) for key, value in (await request.post()).items()}})
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))

    requests = Outgoing(local=True)
    try:
        async with serving(answer) as url:
            return await HttpPrometheus(requests).query(f"{url}{path}", "up", at), got
    finally:
        await requests.close()


async def test_the_series_of_a_vector() -> None:
    samples, asked = await ask(VECTOR)
    assert samples[0] == Sample({"__name__": "up", "pod": "a"}, 12.0)
    assert asked == {"path": "/api/v1/query", "query": "up", "timeout": prometheus.SERVER_TIMEOUT}


async def test_a_path_before_its_own_and_a_moment() -> None:
    _, asked = await ask(VECTOR, at=1_750_000_000.1234567, path="/prometheus/")
    assert (asked["path"], asked["time"]) == ("/prometheus/api/v1/query", "1750000000.123")


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (503, {"status": "error", "errorType": "timeout", "error": "secret"}, Unavailable, "it answers 503 (timeout)"),
        (422, {"status": "error", "errorType": "execution", "error": "secret"}, Unavailable, "422 (execution)"),
        (500, "secret", Unavailable, "it answers 500"),
        (429, "secret", Unavailable, "it answers 429"),
        (400, {"status": "error", "errorType": "bad_data", "error": "secret"}, Refused, "400 (bad_data)"),
        (404, "secret", Refused, "is this the address of a Prometheus"),
        (401, "secret", Refused, "has no credentials"),
        (302, "secret", Refused, "it answers 302"),
        (400, {"errorType": "secret"}, Refused, "it answers 400"),
        (200, "secret", Refused, "something else than a Prometheus"),
        (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}, Refused, "something else"),
        (200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}, Refused, "else"),
    ],
)
async def test_what_is_wrong_is_told_without_what_was_answered(
    status: int, body: Any, kind: type[PrometheusError], says: str
) -> None:
    with pytest.raises(kind) as raised:
        await ask(body, status)
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_an_answer_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MAX_BYTES", 100)
    with pytest.raises(Unavailable, match="more than 100 bytes"):
        await ask(VECTOR)
