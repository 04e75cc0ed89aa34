from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.signature import Column
from mainspring_runtime.serve import tables
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.wire import RequestInput, decode, encode
from tests.unit.runtime.serve.fakes import (
    AGE,
    INSURED,
    MIXED,
    NUMBERS,
    RADIUS,
    SEEN,
    SITE,
    SMOKER,
    STAGE,
    VISITS,
    signature,
)

MIXED_SCHEMA = tables.compile_schema(MIXED)
NUMBERS_SCHEMA = tables.compile_schema(NUMBERS)

finite = st.floats(allow_nan=False, allow_infinity=False)
# What may be sent for a column, and what the model must then see.
CELLS: dict[Column, st.SearchStrategy[Any]] = {
    RADIUS: finite,
    AGE: st.none() | st.integers(-200, 200).map(float),
    SMOKER: st.none() | st.booleans(),
    VISITS: st.integers(-(2**63), 2**63 - 1),
    INSURED: st.booleans(),
    STAGE: st.none() | st.text(),
    SITE: st.text(min_size=1),
    SEEN: st.none() | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
}


def seen_by_the_model(column: Column, value: Any) -> Any:
    if value is None:
        return np.nan if column.datatype == "FP64" else ""
    return float(value) if column.datatype == "FP64" else value


@st.composite
def cells(draw: st.DrawFn, columns: tuple[Column, ...]) -> dict[Column, list[Any]]:
    rows = draw(st.integers(1, 4))
    return {column: draw(st.lists(CELLS[column], min_size=rows, max_size=rows)) for column in columns}


@st.composite
def sent_as_columns(draw: st.DrawFn, schema: tables.Schema) -> tuple[dict[Column, list[Any]], list[RequestInput]]:
    """A table and one way of sending it: any order, [N] or [N, 1], flat or nested, missing columns sent or left out."""
    given_cells = draw(cells(schema.columns))
    inputs: list[RequestInput] = []
    names = draw(st.permutations(range(len(schema.columns))))
    for column in (schema.columns[index] for index in names):
        values = given_cells[column]
        if set(values) == {None} and inputs and draw(st.booleans()):
            continue
        shape = [len(values)] if draw(st.booleans()) else [len(values), 1]
        nested = len(shape) == 2 and draw(st.booleans())
        inputs.append(
            RequestInput(column.name, shape, column.datatype, [[value] for value in values] if nested else values)
        )
    return given_cells, inputs


def assert_is(table: tables.Table, schema: tables.Schema, expected: dict[Column, list[Any]]) -> None:
    columns = schema.by_name(table)
    assert set(columns) == {column.name for column in expected}
    for column, values in expected.items():
        wanted = [seen_by_the_model(column, value) for value in values]
        np.testing.assert_array_equal(columns[column.name], np.array(wanted, dtype=columns[column.name].dtype))


@pytest.mark.parametrize("schema", [MIXED_SCHEMA, NUMBERS_SCHEMA], ids=["mixed", "numbers"])
@given(data=st.data())
def test_a_table_survives_the_wire_in_every_form(schema: tables.Schema, data: st.DataObject) -> None:
    expected, inputs = data.draw(sent_as_columns(schema))
    decoded = decode(encode({"inputs": inputs})).inputs
    assert_is(tables.build(schema, decoded, max_rows=4), schema, expected)


@given(
    cells(NUMBERS.inputs), st.booleans(), st.sampled_from(["FP64", "FP32"]), st.sampled_from(["x", "radius", "input-0"])
)
def test_one_tensor_follows_the_signature(
    given_cells: dict[Column, list[Any]], nested: bool, datatype: str, name: str
) -> None:
    rows = [list(row) for row in zip(*given_cells.values(), strict=True)]
    data = rows if nested else [value for row in rows for value in row]
    decoded = decode(encode({"inputs": [RequestInput(name, [len(rows), 2], datatype, data)]})).inputs
    assert_is(tables.build(NUMBERS_SCHEMA, decoded, max_rows=4), NUMBERS_SCHEMA, given_cells)


@given(st.lists(cells(MIXED.inputs), min_size=1, max_size=4))
def test_joined_tables_are_their_rows_one_below_the_other(parts: list[dict[Column, list[Any]]]) -> None:
    built = [
        tables.build(MIXED_SCHEMA, [RequestInput(c.name, [len(v)], c.datatype, v) for c, v in part.items()], max_rows=4)
        for part in parts
    ]
    joined = MIXED_SCHEMA.by_name(tables.join(built))
    for column in MIXED.inputs:
        wanted = [seen_by_the_model(column, value) for part in parts for value in part[column]]
        np.testing.assert_array_equal(joined[column.name], np.array(wanted, dtype=joined[column.name].dtype))


def test_a_tensor_is_spread_over_columns_of_several_datatypes() -> None:
    schema = tables.compile_schema(signature(RADIUS, VISITS, AGE))
    table = tables.build(schema, [RequestInput("x", [2, 3], "FP64", [1.5, 2, None, 3.5, 4.0, 5])], max_rows=9)
    assert_is(table, schema, {RADIUS: [1.5, 3.5], VISITS: [2, 4], AGE: [None, 5.0]})
    assert table.coercions == (("visits", 2),), "the floats for the integer column"
    assert table.coerced == 2


def test_one_column_can_be_sent_under_any_name() -> None:
    schema = tables.compile_schema(signature(SITE))
    for name in ("site", "x"):
        assert_is(
            tables.build(schema, [RequestInput(name, [2, 1], "BYTES", ["a", "b"])], max_rows=9),
            schema,
            {SITE: ["a", "b"]},
        )


def test_numbers_that_stand_for_booleans_are_checked_in_a_table_of_plain_numbers() -> None:
    schema = tables.compile_schema(signature(RADIUS, SMOKER))
    for inputs in (
        [column("x", [1, 2], [1.5, 0.5])],
        [column("radius", [1], [1.5]), column("smoker", [1], [0.5])],
    ):
        with pytest.raises(RequestError, match=r"input 'smoker', row 0: expected true, false, 1, 0 or null, got 0.5"):
            tables.build(schema, inputs, max_rows=9)


def test_integers_for_floats_are_counted_by_value() -> None:
    inputs = [RequestInput("radius", [2], "INT64", [1, 2]), RequestInput("age", [2], "INT32", [1, None])]
    assert tables.build(NUMBERS_SCHEMA, inputs, max_rows=9).coerced == 3
    assert tables.build(NUMBERS_SCHEMA, [RequestInput("x", [1, 2], "FP64", [1, 2])], max_rows=9).coerced == 0


def column(name: str, shape: list[int], data: list[Any], datatype: str = "FP64") -> RequestInput:
    return RequestInput(name, shape, datatype, data)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no inputs: expected radius (FP64), age (FP64)"),
        ([column("age", [1], [1.0])], "input 'radius' is missing: expected FP64 of shape [N] or [N, 1]"),
        (
            [column("radius", [1], [1.0]), column("agee", [1], [1.0])],
            "unknown input 'agee'; did you mean 'age'?; expected radius (FP64), age (FP64)",
        ),
        ([column("zzz", [1], [1.0])], "unknown input 'zzz'; expected radius"),
        ([column("radios", [1, 1], [1.0])], "unknown input 'radios'; did you mean 'radius'?"),
        ([column("radius", [1], [1.0]), column("radius", [1], [1.0])], "input 'radius' is sent twice"),
        ([column("radius", [2], [1.0])], "input 'radius': shape [2] needs 2 values, got 1"),
        ([column("radius", [1], [1.0, 2.0])], "input 'radius': shape [1] needs 1 values, got 2"),
        (
            [column("radius", [2], [1.0, 2.0]), column("age", [1], [1.0])],
            "input 'age': expected shape [2] or [2, 1], as the first input has, got [1]",
        ),
        ([column("radius", [2, 2, 1], [1.0] * 4)], "input 'radius': expected shape [2] or [2, 1]"),
        ([column("radius", [], [])], "input 'radius': expected at least one row, got shape []"),
        ([column("radius", [0], [])], "input 'radius': expected at least one row, got shape [0]"),
        ([column("radius", [-1], [1.0])], "input 'radius': expected at least one row, got shape [-1]"),
        (
            [column("x", [1, 3], [1.0, 2.0, 3.0])],
            "input 'x': expected shape [N, 2] with radius (FP64), age (FP64), got [1, 3]",
        ),
        ([column("x", [2, 2], [[1.0, 2.0], [3.0]])], "input 'x': expected 2 values in each nested row of shape [2, 2]"),
        ([column("x", [2, 2], [[1.0, 2.0], 3.0])], "input 'x': expected 2 values in each nested row of shape [2, 2]"),
        ([column("x", [1, 2], [[[1.0], [2.0]]])], "input 'radius', row 0: expected a number, got [1.0]"),
        (
            [column("x", [2, 2], [1.0, None, None, 1.0])],
            "input 'radius', row 1: expected a value, since the column is not nullable, got null",
        ),
        ([column("x", [1, 2], [True, False])], "input 'radius', row 0: expected a number, got True"),
        ([column("x", [1, 2], ["a", "b"], "BYTES")], "input 'radius': expected datatype FP64, got BYTES"),
        ([column("x", [1, 2], [1.0, 10**400])], "input 'age', row 0: expected a number that a 64-bit float can hold"),
    ],
)
def test_a_table_that_does_not_fit_names_the_input(inputs: list[RequestInput], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        tables.build(NUMBERS_SCHEMA, inputs, max_rows=9)
    assert (caught.value.status, message in caught.value.message) == (400, True), caught.value.message


def test_too_many_rows_are_refused_before_their_values_are_looked_at() -> None:
    with pytest.raises(RequestError, match="10 rows in one request; the limit is 9") as caught:
        tables.build(NUMBERS_SCHEMA, [column("x", [10, 2], [])], max_rows=9)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            Column("x", "FP16", nullable=False, kind="Float"),
            "input 'x' has datatype FP16; expected one of FP64, INT64, BOOL, BYTES",
        ),
        (Column("x", "INT64", nullable=True, kind="Integer"), "input 'x' is a nullable INT64"),
    ],
)
def test_a_signature_that_json_tables_cannot_carry_is_refused_at_load(bad: Column, message: str) -> None:
    with pytest.raises(PermanentError, match=message) as caught:
        tables.compile_schema(signature(RADIUS, bad))
    assert caught.value.reason == "UnsupportedSignature"
