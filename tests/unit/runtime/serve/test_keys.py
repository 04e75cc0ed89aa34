"""The key of the Dataset: an input that may be sent along, and that the model never sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mainspring_runtime.serve import tables
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.wire import RequestInput
from tests.unit.runtime.serve.fakes import MIXED, NUMBERS

KEYED = tables.compile_schema(replace(MIXED, key="patient"))


def inputs_of(rows: int) -> list[RequestInput]:
    values = {"radius": ("FP64", 1.0), "visits": ("INT64", 2), "insured": ("BOOL", True), "site": ("BYTES", "here")}
    return [RequestInput(name, [rows], datatype, [value] * rows) for name, (datatype, value) in values.items()]


@pytest.mark.parametrize(
    ("datatype", "data", "keys"),
    [("BYTES", ["a", None, ""], ("a", None, None)), ("INT64", [17, None, 0], ("17", None, "0"))],
)
def test_the_key_may_be_sent_along(datatype: str, data: list[Any], keys: tuple[str | None, ...]) -> None:
    inputs = [RequestInput("patient", [3], datatype, data), *inputs_of(3)]
    table = tables.build(KEYED, inputs, 10)
    assert table.keys == keys
    assert "patient" not in KEYED.by_name(table)
    assert tables.join([table, table]).keys is None
    assert tables.build(KEYED, inputs[1:], 10).keys is None


def test_the_key_may_come_with_a_tensor() -> None:
    schema = tables.compile_schema(replace(NUMBERS, key="patient"))
    inputs = [
        RequestInput("all", [2, 2], "FP64", [1.0, 2.0, 3.0, 4.0]),
        RequestInput("patient", [2, 1], "INT64", [1, 2]),
    ]
    table = tables.build(schema, inputs, 10)
    assert table.keys == ("1", "2")
    assert table.floats.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            RequestInput("patient", [3], "FP64", [1.0, 2.0, 3.0]),
            "expected datatype BYTES or INT64 (it is the key), got FP64",
        ),
        (RequestInput("patient", [2], "BYTES", ["a", "b"]), "expected shape [3] or [3, 1], got [2]"),
        (RequestInput("patient", [3], "BYTES", ["a", "b", 3]), "row 2: expected a string or null, got 3"),
        (RequestInput("patient", [3], "INT64", [1, True, 3]), "row 1: expected an integer or null, got True"),
    ],
)
def test_a_key_that_is_none_is_named(key: RequestInput, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        tables.build(KEYED, [*inputs_of(3), key], 10)
    assert message in caught.value.message


def test_a_key_sent_twice_is_refused() -> None:
    key = RequestInput("patient", [3], "INT64", [1, 2, 3])
    with pytest.raises(RequestError, match="sent twice"):
        tables.build(KEYED, [key, *inputs_of(3), key], 10)


def test_a_model_without_a_key_knows_no_such_input() -> None:
    with pytest.raises(RequestError, match="unknown input 'patient'"):
        tables.build(tables.compile_schema(MIXED), [*inputs_of(1), RequestInput("patient", [1], "INT64", [1])], 10)
