from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from mainspring import __version__
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.settings import Limits
from tests.unit.runtime.serve.fakes import LIMITS, MIXED, SETTINGS, SumPredictor, served_model
from tests.unit.runtime.serve.wired import Wired

INFER = "/v2/models/tumours/infer"


class Server:
    """The application with a model, and a client that talks to it without a network."""

    def __init__(self, limits: Limits, executor: ThreadPoolExecutor) -> None:
        self.tallies = Tallies()
        self.predictor = SumPredictor()
        self.app = InferenceApp(SETTINGS, limits, self.tallies)
        self._limits = limits
        self._executor = executor
        self.wired = Wired(self.app.router, limits)
        self.client = httpx.AsyncClient(transport=self.wired, base_url="http://test")

    def load(self) -> None:
        self.app.model = served_model(self.predictor, self._executor, self._limits, self.tallies)

    async def infer(self, *values: float, **rest: Any) -> httpx.Response:
        tensor = {"name": "x", "shape": [1, len(values)], "datatype": "FP64", "data": list(values)}
        return await self.client.post(INFER, json={"inputs": [tensor], **rest})


@pytest.fixture
async def starting() -> AsyncIterator[Server]:
    with ThreadPoolExecutor(1) as executor:
        server = Server(replace(LIMITS, body_bytes=1000, request_rows=4), executor)
        async with server.client:
            yield server


@pytest.fixture
async def server(starting: Server) -> Server:
    starting.load()
    return starting


async def test_a_prediction_has_model_version_and_the_request_s_id(server: Server) -> None:
    response = await server.infer(1.5, 2.0, id="a1")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == {
        "model_name": "tumours",
        "model_version": "3",
        "id": "a1",
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [1], "data": [3.5]}],
    }
    assert "connection" not in response.headers


async def test_the_version_can_be_named(server: Server) -> None:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, None]}
    response = await server.client.post("/v2/models/tumours/versions/3/infer", json={"inputs": [tensor]})
    assert response.json()["outputs"][0]["data"] == [1.0]
    assert "id" not in response.json()


async def test_outputs_are_chosen_by_name_each_once(server: Server) -> None:
    wanted = [{"name": "predict_proba"}, {"name": "predict"}, {"name": "predict_proba"}]
    response = await server.infer(1.0, 2.0, outputs=wanted)
    assert [(output["name"], output["shape"], output["data"]) for output in response.json()["outputs"]] == [
        ("predict_proba", [1, 2], [3.0, -3.0]),
        ("predict", [1], [3.0]),
    ]
    assert [output["name"] for output in (await server.infer(1.0, 2.0, outputs=[])).json()["outputs"]] == ["predict"]


async def test_an_unknown_output_is_named_with_the_known_ones(server: Server) -> None:
    response = await server.infer(1.0, 2.0, outputs=[{"name": "predict_probs"}])
    assert response.status_code == 400
    assert response.json() == {
        "error": "unknown output 'predict_probs'; did you mean 'predict_proba'?; this model has predict, predict_proba"
    }


async def test_health_and_readiness_follow_the_life_of_the_server(starting: Server) -> None:
    async def states() -> list[int]:
        paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/tumours/ready", "/v2/models/tumours")
        return [(await starting.client.get(path)).status_code for path in paths]

    assert await states() == [200, 503, 503, 503]
    refused = await starting.infer(1.0, 2.0)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json() == {"error": "model 'tumours' is still being loaded"}
    starting.load()
    assert await states() == [200, 200, 200, 200]
    starting.app.draining = True
    assert await states() == [200, 503, 503, 200]


async def test_while_draining_requests_are_answered_and_callers_sent_away(server: Server) -> None:
    server.wired.shared.closing = True
    response = await server.infer(1.0, 2.0)
    assert (response.status_code, response.headers["connection"]) == (200, "close")
    assert (await server.client.get("/v2/nothing")).headers["connection"] == "close"


async def test_the_server_introduces_itself(server: Server) -> None:
    assert (await server.client.get("/v2")).json() == {
        "name": "mainspring",
        "version": __version__,
        "extensions": ["binary_tensor_data"],
    }
    for path in ("/v1/models", "/v2/models"):
        assert (await server.client.get(path)).json() == {"models": ["tumours"]}
    assert (await server.client.get("/v2/models/tumours/ready")).json() == {"name": "tumours", "ready": True}


async def test_the_model_describes_its_inputs_outputs_and_classes(server: Server) -> None:
    server.predictor = SumPredictor(MIXED)
    server.load()
    for path in ("/v2/models/tumours", "/v2/models/tumours/versions/3"):
        metadata = (await server.client.get(path)).json()
        assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("tumours", ["3"], "onnxruntime_onnx")
        assert [(item["name"], item["datatype"]) for item in metadata["inputs"]] == [
            (column.name, column.datatype) for column in MIXED.inputs
        ]
        assert metadata["inputs"][5] == {
            "name": "stage",
            "datatype": "BYTES",
            "shape": [-1, 1],
            "parameters": {"nullable": True, "kind": "Category", "categories": ["I", "II"]},
        }
        assert metadata["outputs"] == [
            {"name": "predict", "datatype": "FP64", "shape": [-1], "parameters": {}},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2], "parameters": {"classes": ["B", "M"]}},
        ]
        assert metadata["parameters"] == {
            "task": "Classification",
            "default_outputs": ["predict"],
            "classes": ["B", "M"],
        }


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        (
            "POST",
            "/v2/models/tumors/infer",
            404,
            "this server has model 'tumours', version 3; did you mean '/v2/models/tumours/infer'?",
        ),
        ("POST", "/v2/models/tumours/versions/4/infer", 404, "there is nothing at /v2/models/tumours/versions/4/infer"),
        ("GET", "/", 404, "there is nothing at /"),
        ("GET", INFER, 405, "GET is not allowed for /v2/models/tumours/infer; use POST"),
        ("POST", "/v2", 405, "POST is not allowed for /v2; use GET, HEAD"),
    ],
)
async def test_a_wrong_address_is_answered_with_the_right_one(
    server: Server, method: str, path: str, status: int, message: str
) -> None:
    response = await server.client.request(method, path)
    assert response.status_code == status
    assert message in response.json()["error"]
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"{", {}, 400, "the body is not valid JSON"),
        (b'{"inputs": []}', {}, 400, "no inputs: expected radius (FP64), age (FP64)"),
        (b'{"inputs": [{"name": "x", "shape": [5, 2], "datatype": "FP64", "data": []}]}', {}, 413, "the limit is 4"),
        (b" " * 1001, {}, 413, "larger than 1000 bytes"),
        (b"{}", {"content-type": "text/plain"}, 415, "send application/json"),
    ],
)
async def test_a_bad_request_says_what_is_wrong(
    server: Server, content: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    response = await server.client.post(INFER, content=content, headers=headers)
    assert (response.status_code, message in response.json()["error"]) == (status, True), response.text
    assert server.tallies.requests == {200: 0, status: 1}


class Crash(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("radius 666 is not possible"), 400, "the model refused the input: radius 666 is not possible"),
        (PermanentError("X", "not this way"), 400, "the model refused the input: not this way"),
        (Crash("secret"), 500, "the prediction failed with Crash; the server's log has the details"),
    ],
)
async def test_what_a_model_raises_is_answered_by_its_kind(
    server: Server, error: BaseException, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.predictor.error = lambda: error
    response = await server.infer(666, 0)
    assert (response.status_code, response.json()) == (status, {"error": message})
    assert bool(caplog.records) == (status == 500)
    assert (await server.infer(1, 0)).status_code == 200


async def test_requests_times_and_coercions_are_counted(server: Server) -> None:
    await server.infer(1.0, 2.0)
    await server.infer(666, 0)
    await server.client.post(
        INFER, json={"inputs": [{"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]}]}
    )
    await server.client.post(INFER, content=b" " * 1001)
    await server.client.get("/v2/health/live")
    assert server.tallies.requests == {200: 2, 400: 1, 413: 1}
    assert sum(server.tallies.request_seconds.counts) == 3, "one body never became complete"
    assert server.tallies.coerced_values == 2


async def test_a_slow_prediction_does_not_delay_a_health_probe(server: Server) -> None:
    started, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow() -> BaseException:
        loop.call_soon_threadsafe(started.set)
        assert release.wait(10)
        return ValueError("slow")

    server.predictor.error = slow
    pending = asyncio.create_task(server.infer(666, 0))
    await started.wait()
    assert (await server.client.get("/v2/health/live")).status_code == 200
    assert not pending.done()
    release.set()
    assert (await pending).status_code == 400
