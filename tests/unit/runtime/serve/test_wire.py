from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve import wire
from mainspring_runtime.serve.errors import RequestError


def body(data: str, name: str = '"x"') -> bytes:
    return f'{{"inputs": [{{"name": {name}, "shape": [1], "datatype": "FP64", "data": {data}}}]}}'.encode()


def refusal(content: bytes) -> str:
    with pytest.raises(RequestError) as caught:
        wire.decode(content)
    assert caught.value.status == 400
    return caught.value.message


def test_everything_of_the_protocol_is_read() -> None:
    request = wire.decode(
        b'{"id": "42", "parameters": {"a": 1}, "unknown": [], "outputs": [{"name": "predict", "parameters": {"classification": 3}}],'
        b'"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"b": "c"}, "data": [[1.5, 2]]}]}'
    )
    assert request.id == "42"
    assert request.inputs == [wire.RequestInput("x", [1, 2], "FP32", [[1.5, 2]], {"b": "c"})]
    assert request.outputs is not None
    assert [output.name for output in request.outputs] == ["predict"]


json_values = st.recursive(
    st.none()
    | st.floats(allow_infinity=False)
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.sampled_from(["NaN", '"NaN', "\\NaN"]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=6), st.text(), st.booleans())
def test_a_bare_nan_reads_as_null_and_nothing_else_changes(data: list[Any], name: str, ascii_only: bool) -> None:
    content = json.dumps(
        {"inputs": [{"name": name, "shape": [1], "datatype": "FP64", "data": data}]}, ensure_ascii=ascii_only
    )
    decoded = wire.decode(content.encode()).inputs[0]
    assert (decoded.name, decoded.data) == (name, without_nan(data))


def without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the body is not valid JSON"),
        (b"{", "the body is not valid JSON"),
        (b"\xff", "the body is not valid JSON"),
        (b'{"inputs": []} {}', "the body is not valid JSON"),
        (body("[1]", name='"\xff"').replace(b"\xc3\xbf", b"\xff"), "the body is not UTF-8"),
        (body("[NaN]", name='"\xff"').replace(b"\xc3\xbf", b"\xff"), "the body is not UTF-8"),
        (body("[NaN]", name='"\\ud800"'), "the body is not UTF-8"),
        (body("[Infinity]"), "the body is not valid JSON"),
        (body("[NaN, -Infinity]"), "-Infinity is not a value"),
        (body("[NaN, ]"), "the body is not valid JSON"),
        (body("[xNaN]"), "the body is not valid JSON"),
        (body("[" * 100_000), "nested too deeply"),
        (body("NaN" + "[" * 100_000), "the body is not valid JSON"),
        (body("[NaN, " + "[" * 100_000), "nested too deeply"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `inputs`"),
        (b'{"inputs": [{"name": "x"}]}', "missing required field `shape` - at `$.inputs[0]`"),
        (body("[1]", name="1"), "Expected `str`, got `int` - at `$.inputs[0].name`"),
        (body("[NaN]", name="1"), "Expected `str`, got `int` - at `$.inputs[0].name`"),
        (body("1"), "Expected `array | null`, got `int` - at `$.inputs[0].data`"),
    ],
)
def test_what_is_no_request_is_refused_with_the_place(content: bytes, message: str) -> None:
    assert message in refusal(content)


def test_a_missing_number_goes_back_as_null_and_an_absent_id_not_at_all() -> None:
    outputs = [wire.ResponseOutput("predict", "FP64", [2], [1.5, math.nan])]
    assert json.loads(wire.encode(wire.InferResponse("m", "1", outputs))) == {
        "model_name": "m",
        "model_version": "1",
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [2], "data": [1.5, None]}],
    }
