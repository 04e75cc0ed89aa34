"""v2 with tensors as bytes and v1, through the whole application."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from mainspring_runtime.model.signature import Column, Output, Signature
from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.metrics import Tallies
from tests.unit.runtime.serve.fakes import LIMITS, MIXED, SETTINGS, SumPredictor, served_model
from tests.unit.runtime.serve.wired import Wired

INFER = "/v2/models/tumours/infer"
PREDICT = "/v1/models/tumours:predict"
WITH_KEY = Signature(inputs=MIXED.inputs, outputs=MIXED.outputs, classes=("B", "M"), key="patient")
NUMBERS = Signature(
    inputs=(
        Column("radius", "FP64", nullable=False, kind="Float"),
        Column("age", "FP64", nullable=True, kind="Integer"),
    ),
    outputs=MIXED.outputs,
)
ROW = {"radius": 1.5, "age": 60, "smoker": True, "visits": 2, "insured": 1, "stage": "II", "site": "here", "seen": None}


class Server:
    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.tallies = Tallies()
        limits = replace(LIMITS, request_rows=500, body_bytes=100_000)
        self.app = InferenceApp(SETTINGS, limits, self.tallies)
        self.executor = executor
        self.client = httpx.AsyncClient(transport=Wired(self.app.router, limits), base_url="http://test")
        self.load(NUMBERS)

    def load(self, signature: Signature, outputs: tuple[str, ...] = ("predict",)) -> None:
        predictor = SumPredictor(signature)
        self.app.model = served_model(predictor, self.executor, LIMITS, self.tallies, outputs)

    async def infer(self, head: dict[str, Any], content: bytes = b"", **headers: str) -> httpx.Response:
        text = json.dumps(head).encode()
        sizes = {"inference-header-content-length": str(len(text)), "content-type": "application/octet-stream"}
        return await self.client.post(INFER, content=text + content, headers=sizes | headers)

    async def predict(self, body: dict[str, Any]) -> httpx.Response:
        return await self.client.post(PREDICT, json=body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    with ThreadPoolExecutor(1) as executor:
        server = Server(executor)
        async with server.client:
            yield server


def tensor(rows: int) -> tuple[dict[str, Any], bytes]:
    values = (np.arange(rows * 2, dtype="<f8") % 100).reshape(rows, 2)
    described = {
        "name": "x",
        "shape": [rows, 2],
        "datatype": "FP64",
        "parameters": {"binary_data_size": values.nbytes},
    }
    return described, values.tobytes()


async def test_tensors_come_and_go_as_bytes(server: Server) -> None:
    described, content = tensor(2)
    wanted = [{"name": "predict_proba"}, {"name": "predict", "parameters": {"binary_data": False}}]
    response = await server.infer(
        {"id": "a", "inputs": [described], "outputs": wanted, "parameters": {"binary_data_output": True}}, content
    )
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers["inference-header-content-length"])
    assert json.loads(response.content[:length]) == {
        "model_name": "tumours",
        "model_version": "3",
        "id": "a",
        "outputs": [
            {"name": "predict_proba", "datatype": "FP64", "shape": [2, 2], "parameters": {"binary_data_size": 32}},
            {"name": "predict", "datatype": "FP64", "shape": [2], "data": [1.0, 5.0]},
        ],
    }
    np.testing.assert_array_equal(np.frombuffer(response.content[length:]), [1.0, -1.0, 5.0, -5.0])


@pytest.mark.parametrize(
    ("head", "as_bytes"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"parameters": {"binary_data_output": False}}, False),
        ({"outputs": [{"name": "predict", "parameters": {"binary_data": True}}]}, True),
        ({"outputs": [{"name": "predict", "parameters": {"classification": 1}}]}, False),
        ({"outputs": [{"name": "predict"}], "parameters": {"binary_data_output": True}}, True),
    ],
)
async def test_outputs_are_bytes_only_when_asked_for(server: Server, head: dict[str, Any], as_bytes: bool) -> None:
    described, content = tensor(1)
    response = await server.infer({"inputs": [described]} | head, content)
    assert response.status_code == 200
    assert ("inference-header-content-length" in response.headers) == as_bytes
    plain = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [0.0, 1.0]}
    response = await server.client.post(INFER, json={"inputs": [plain]} | head)
    assert ("inference-header-content-length" in response.headers) == as_bytes


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"parameters": {"binary_data_output": "yes"}}, "the parameter 'binary_data_output' is 'yes'"),
        (
            {"outputs": [{"name": "predict", "parameters": {"binary_data": 1}}]},
            "the parameter 'binary_data' is 1; expected true or false",
        ),
    ],
)
async def test_a_parameter_of_another_type_is_named(server: Server, head: dict[str, Any], message: str) -> None:
    described, content = tensor(1)
    response = await server.infer({"inputs": [described]} | head, content)
    assert (response.status_code, message in response.json()["error"]) == (400, True)


async def test_a_packed_request_is_unpacked_and_a_large_answer_packed(server: Server) -> None:
    described, content = tensor(500)
    text = json.dumps({"inputs": [described], "outputs": [{"name": "predict_proba"}]}).encode()
    headers = {
        "inference-header-content-length": str(len(text)),
        "content-encoding": "gzip",
        "accept-encoding": "gzip",
    }
    small = await server.client.post(INFER, content=gzip.compress(text + content), headers=headers)
    assert (small.status_code, "content-encoding" in small.headers) == (200, False), small.text
    headers["content-encoding"] = "identity"
    server.load(NUMBERS, ("predict_proba", "predict"))
    many = json.dumps({"instances": [[value / 7, 1] for value in range(500)]}).encode()
    large = await server.client.post(PREDICT, content=many, headers={"accept-encoding": "gzip"})
    assert (large.headers["content-encoding"], large.headers["vary"]) == ("gzip", "accept-encoding")
    assert len(large.json()["predictions"]) == 500
    bomb = gzip.compress(bytes(100_001))
    refused = await server.client.post(INFER, content=bomb, headers={"content-encoding": "gzip"})
    assert (refused.status_code, server.tallies.requests[413]) == (413, 1)


@pytest.mark.parametrize(
    ("body", "predictions"),
    [
        ({"instances": [[1.5, 2], [3, None]]}, [3.5, 3.0]),
        ({"instances": [{"radius": 1.5, "age": 2}, {"radius": 3}]}, [3.5, 3.0]),
        ({"instances": [{"radius": 1.5}]}, [1.5]),
        ({"inputs": [[1.5, 2]]}, [3.5]),
        ({"inputs": {"radius": [1.5, 3], "age": [2, None]}}, [3.5, 3.0]),
        ({"signature_name": "serving_default", "instances": [[1, 2]]}, [3.0]),
    ],
)
async def test_v1_takes_rows_and_columns(server: Server, body: dict[str, Any], predictions: list[float]) -> None:
    response = await server.predict(body)
    assert (response.status_code, response.json()) == (200, {"predictions": predictions})


async def test_v1_takes_columns_of_every_type_and_the_key(server: Server) -> None:
    server.load(WITH_KEY)
    rows = [ROW | {"patient": 1}, ROW | {"insured": 0, "patient": 2}]
    response = await server.predict({"instances": rows})
    assert response.json() == {"predictions": [1.5 + 60 + 1 + 2 + 1, 1.5 + 60 + 1 + 2]}
    response = await server.predict({"instances": [ROW | {"patient": "p1"}]})
    assert response.status_code == 200


async def test_v1_takes_bare_nan_as_python_writes_it(server: Server) -> None:
    response = await server.client.post(PREDICT, content=b'{"instances": [[1.5, NaN]]}')
    assert response.json() == {"predictions": [1.5]}


async def test_v1_of_a_model_with_one_input_takes_values(server: Server) -> None:
    one = Signature(inputs=NUMBERS.inputs[:1], outputs=(Output("predict", "FP64", (-1,)),))
    server.load(one)
    assert (await server.predict({"instances": [1.5, 2]})).json() == {"predictions": [1.5, 2.0]}


async def test_v1_answers_several_outputs_as_objects(server: Server) -> None:
    server.load(NUMBERS, ("predict", "predict_proba"))
    response = await server.predict({"instances": [[1, 2]]})
    assert response.json() == {"predictions": [{"predict": 3.0, "predict_proba": [3.0, -3.0]}]}
    server.load(NUMBERS, ("predict_proba",))
    assert (await server.predict({"instances": [[1, 2]]})).json() == {"predictions": [[3.0, -3.0]]}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, 'expected {"instances": […]}'),
        ({"instances": []}, 400, "expected at least one instance"),
        ({"instances": 1}, 400, "the body is not a v1 request: Expected `array | null`, got `int` - at `$.instances`"),
        ({"instances": [[1, 2], [1]]}, 400, "instance 1: expected a list of 2 values, got 1 values"),
        ({"instances": [[1, 2], {}]}, 400, "instance 1: expected a list of 2 values, got no list"),
        ({"instances": [{"radius": 1}, 2]}, 400, "instance 1: expected an object, as the first one is"),
        ({"instances": [{"radius": 1, "agee": 2}]}, 400, "unknown input 'agee'; did you mean 'age'?"),
        ({"instances": [{"age": 2}]}, 400, "input 'radius' is missing"),
        ({"instances": [{"radius": "a"}]}, 400, "input 'radius', row 0: expected a number, got 'a'"),
        ({"instances": [[1]]}, 400, "instance 0: expected a list of 2 values"),
        ({"instances": [1]}, 400, "instance 0: expected a list of 2 values, got 1 values"),
        ({"inputs": {"radius": 1}}, 400, "input 'radius': expected a list of values"),
        ({"inputs": {"radius": [1, 2], "age": [1]}}, 400, "input 'age': expected shape [2]"),
        ({"inputs": {}}, 400, "no inputs: expected radius (FP64)"),
        ({"instances": [[1, 2]] * 501}, 413, "501 rows in one request; the limit is 500"),
    ],
)
async def test_v1_says_what_is_wrong(server: Server, body: dict[str, Any], status: int, message: str) -> None:
    response = await server.predict(body)
    assert (response.status_code, message in response.json()["error"]) == (status, True), response.text
    assert server.tallies.requests[status] == 1


async def test_v1_tells_the_model(server: Server) -> None:
    assert (await server.client.get("/v1/models/tumours")).json() == {"name": "tumours", "ready": True}
    server.app.model = None
    response = await server.client.get("/v1/models/tumours")
    assert (response.status_code, response.json()) == (503, {"name": "tumours", "ready": False})
    assert (await server.predict({"instances": [[1, 2]]})).status_code == 503
