"""Requests that nobody would write by hand: refused with a reason, or answered with what the model says; never a 500."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mainspring_runtime.serve.connection import Shared
from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.metrics import Tallies
from tests.unit.runtime.serve.fakes import LIMITS, MIXED, SETTINGS, SumPredictor, served_model
from tests.unit.runtime.serve.wired import Answer, Line

EXAMPLES = settings(max_examples=300)
REFUSED = {400, 404, 405, 413, 415}
ADDED = ("radius", "age", "smoker", "visits", "insured")  # the columns of numbers
NULLABLE = {column.name for column in MIXED.inputs if column.nullable}
GOOD: dict[str, tuple[str, list[Any]]] = {
    "radius": ("FP64", [1.5, 2.0]),
    "age": ("INT64", [60, 61]),
    "smoker": ("BOOL", [True, False]),
    "visits": ("INT64", [2, 3]),
    "insured": ("BOOL", [False, True]),
    "stage": ("BYTES", ["I", "unknown"]),
    "site": ("BYTES", ["here", "there"]),
    "seen": ("BYTES", ["2026-01-31T12:00:00Z", ""]),
}


class Server:
    """The application in a loop of its own, which lives as long as the examples."""

    def __init__(self, runner: asyncio.Runner, executor: ThreadPoolExecutor) -> None:
        self._runner = runner
        runner.run(self._start(executor))

    async def _start(self, executor: ThreadPoolExecutor) -> None:
        limits = replace(LIMITS, request_rows=100, body_bytes=1_000_000)
        tallies = Tallies()
        app = InferenceApp(SETTINGS, limits, tallies)
        app.model = served_model(SumPredictor(MIXED), executor, limits, tallies)
        self._shared = Shared(app.router, limits)

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\n\r\n"
        return self._runner.run(self._ask(head.encode() + body))

    async def _ask(self, content: bytes) -> Answer:
        line = Line(self._shared)
        answer = Answer(await line.ask(content), False)
        line.close()
        return answer

    def infer(self, body: bytes) -> Answer:
        return self.post("/v2/models/tumours/infer", body)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with ThreadPoolExecutor(1) as executor, asyncio.Runner() as runner:
        yield Server(runner, executor)


def request() -> dict[str, Any]:
    inputs = [
        {"name": name, "shape": [2], "datatype": datatype, "data": list(data)}
        for name, (datatype, data) in GOOD.items()
    ]
    return {"id": "a", "inputs": inputs, "outputs": [{"name": "predict"}]}


def expected(sent: Any) -> list[float]:
    """The sums, from the JSON itself: what any reader of the protocol would take it to mean."""
    totals: list[float] = []
    for item in sent["inputs"]:
        if item["name"] in ADDED:
            values = [value[0] if isinstance(value, list) else value for value in item["data"]]
            totals = totals or [0.0] * len(values)
            totals = [total + number(value) for total, value in zip(totals, values, strict=True)]
    return totals


def number(value: Any) -> float:
    return 0.0 if value is None or value == "NaN" or value != value else float(value)


def check(answer: Answer, sent: Any) -> None:
    body = json.loads(answer.body)
    if answer.status != 200:
        assert answer.status in REFUSED, body
        assert len(body["error"]) > 10
        return
    predicted = next((output["data"] for output in body["outputs"] if output["name"] == "predict"), None)
    if predicted is not None:
        assert predicted == pytest.approx(expected(sent), rel=1e-12, nan_ok=True) or all(
            value is None or math.isinf(value) for value in predicted
        ), "a sum of huge numbers has no JSON"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**53, 2**53 + 1, 2**63, -(2**63), 10**400, 1e308, -0.0, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["NaN", "", "2026-01-31T12:00:00Z"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            found += places(inner, (*path, key))
    return found


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A good request with some places replaced or removed."""
    sent = request()
    for _ in range(draw(st.integers(1, 3))):
        found = places(sent)
        if not found:
            break
        *parents, key = draw(st.sampled_from(found))
        holder = sent
        for parent in parents:
            holder = holder[parent]
        if draw(st.booleans()):
            holder[key] = draw(values)
        else:
            del holder[key]
    return sent


@EXAMPLES
@given(changed())
def test_a_request_with_other_values_in_some_places(server: Server, sent: Any) -> None:
    check(server.infer(json.dumps(sent).encode()), sent)


@EXAMPLES
@given(st.data())
def test_a_request_whose_bytes_were_damaged(server: Server, data: st.DataObject) -> None:
    body = bytearray(json.dumps(request()).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))]) if data.draw(st.booleans()) else bytes(body)
    answer = server.infer(cut)
    check(answer, json.loads(cut) if answer.status == 200 else None)


@st.composite
def refilled(draw: st.DrawFn) -> Any:
    """A request with values of a column's own kind, most of them possible, in any datatype and form."""
    sent = request()
    rows = draw(st.integers(1, 3))
    for item in sent["inputs"]:
        kind = st.sampled_from(OTHERS[item["name"]]) if item["name"] in OTHERS else numbers
        data = draw(st.lists(kind, min_size=rows, max_size=rows))
        if item["name"] in ADDED and not draw(st.integers(0, 9)):
            item["datatype"] = draw(st.sampled_from(["FP64", "FP32", "INT64", "UINT8", "BOOL"]))
        if draw(st.booleans()):
            item["shape"], item["data"] = [rows, 1], [[value] for value in data]
        else:
            item["shape"], item["data"] = [rows], data
    draw(st.randoms(use_true_random=False)).shuffle(sent["inputs"])
    return sent


OTHERS: dict[str, list[Any]] = {
    "radius": [1.5, -2, 1e6, 0, -0.0, 2**53],
    "visits": [0, 3, -7, 2.0],
    "smoker": [True, False, 1, 0, None],
    "insured": [True, False, 1, 0],
    "stage": ["I", "II", "", None, "other"],
    "site": ["here", "Zürich"],
    "seen": ["2026-01-31T12:00:00Z", "", None],
}
numbers = st.one_of(
    st.integers(-10, 10), st.floats(-1e6, 1e6), st.sampled_from([None, "NaN", 2**53, 2**53 + 1, 2**63, 1.0, -0.0])
)


@EXAMPLES
@given(refilled())
def test_a_request_with_values_of_all_kinds(server: Server, sent: Any) -> None:
    answer = server.infer(json.dumps(sent).encode())
    event(f"status {answer.status}")
    check(answer, sent)


@EXAMPLES
@given(st.binary(max_size=300))
def test_any_bytes_as_a_body(server: Server, body: bytes) -> None:
    for path in ("/v2/models/tumours/infer", "/v1/models/tumours:predict"):
        assert server.post(path, body).status in REFUSED
        assert server.post(path, body, content_encoding="gzip").status in REFUSED
        assert server.post(path, body, inference_header_content_length="9").status in REFUSED


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"inputs":[', b'{"inputs":[{"data":['])
def test_a_body_nested_without_end(server: Server, opening: bytes) -> None:
    for path in ("/v2/models/tumours/infer", "/v1/models/tumours:predict"):
        for body in (opening * 100_000, b"NaN" + opening * 100_000, opening * 50_000 + b"NaN"):
            assert server.post(path, body[:900_000]).status == 400


def binary_request() -> tuple[dict[str, Any], bytes]:
    """The same columns, the numbers as bytes."""
    import numpy as np

    sent, content = request(), b""
    dtypes = {"FP64": "<f8", "INT64": "<i8", "BOOL": "u1"}
    for item in sent["inputs"]:
        if item["datatype"] in dtypes:
            raw = np.array(item.pop("data"), dtype=dtypes[item["datatype"]]).tobytes()
            item["parameters"] = {"binary_data_size": len(raw)}
            content += raw
    return sent, content


@EXAMPLES
@given(st.data())
def test_tensors_as_bytes_that_were_damaged(server: Server, data: st.DataObject) -> None:
    sent, content = binary_request()
    head = bytearray(json.dumps(sent).encode())
    body = bytearray(content)
    if data.draw(st.booleans()):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(32, 126))
    elif data.draw(st.booleans()):
        body = body[: data.draw(st.integers(0, len(body)))] + bytearray(data.draw(st.binary(max_size=9)))
    else:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.sampled_from([len(head), len(head) + 1, 0, 10**30]))
    answer = server.post("/v2/models/tumours/infer", bytes(head + body), inference_header_content_length=str(length))
    event(f"status {answer.status}")
    assert answer.status == 200 or answer.status in REFUSED, answer.body


@EXAMPLES
@given(st.lists(values, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "other"]), values, max_size=8))
def test_v1_with_any_instances(server: Server, given_: Any) -> None:
    for name in ("instances", "inputs"):
        answer = server.post("/v1/models/tumours:predict", json.dumps({name: given_}).encode())
        assert answer.status == 200 or answer.status in REFUSED, answer.body


def test_the_unchanged_request_is_answered(server: Server) -> None:
    answer = server.infer(json.dumps(request()).encode())
    check(answer, request())
    assert answer.status == 200
    head, content = binary_request()
    text = json.dumps(head).encode()
    binary = server.post("/v2/models/tumours/infer", text + content, inference_header_content_length=str(len(text)))
    assert (binary.status, json.loads(binary.body)) == (200, json.loads(answer.body))
