from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainspring_runtime.serve import binary, tables, wire
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.predicting import Result
from mainspring_runtime.serve.tables import Table
from mainspring_runtime.serve.tensors import Tensor
from tests.unit.runtime.serve.fakes import AGE, INSURED, MIXED, NUMBERS, RADIUS, SITE, SMOKER, VISITS, signature

MAX_ROWS = 100


def texts(*values: str) -> bytes:
    return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)


def request(*inputs: tuple[str, list[int], str, bytes]) -> bytes:
    """A body, its tensors as bytes; the length of its JSON comes first, as a line."""
    described = [
        {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(content)}}
        for name, shape, datatype, content in inputs
    ]
    head = json.dumps({"inputs": described}).encode()
    return b"%d\n" % len(head) + head + b"".join(content for *_, content in inputs)


def build(sent: bytes, of: Any = NUMBERS) -> Table:
    length, _, body = sent.partition(b"\n")
    content, rest = binary.divide(body, length)
    return tables.build(tables.compile_schema(of), binary.attach(wire.decode(content), rest), MAX_ROWS)


def refusal(sent: bytes, of: Any = NUMBERS) -> str:
    with pytest.raises(RequestError) as caught:
        build(sent, of)
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("datatype", "dtype", "coerced"),
    [
        ("FP16", "<f2", 0),
        ("FP32", "<f4", 0),
        ("FP64", "<f8", 0),
        *((f"INT{bits}", f"<i{bits // 8}", 4) for bits in (8, 16, 32, 64)),
        *((f"UINT{bits}", f"<u{bits // 8}", 4) for bits in (8, 16, 32, 64)),
    ],
)
def test_a_tensor_of_any_number_type_is_read(datatype: str, dtype: str, coerced: int) -> None:
    values = np.array([[1, 2], [3, 100]], dtype=dtype)
    table = build(request(("x", [2, 2], datatype, values.tobytes())))
    np.testing.assert_array_equal(table.floats, [[1.0, 2.0], [3.0, 100.0]])
    assert (table.rows, table.coerced, table.floats.dtype) == (2, coerced, np.float64)


def test_the_upper_half_of_a_float_is_a_number() -> None:
    values = np.array([1.5, -2.0], dtype=np.float32).view(np.uint32) >> 16
    table = build(request(("x", [1, 2], "BF16", values.astype("<u2").tobytes())))
    np.testing.assert_array_equal(table.floats, [[1.5, -2.0]])


def test_columns_of_every_type_are_read() -> None:
    sent = request(
        ("radius", [2], "FP32", np.array([1.5, 2.5], dtype="<f4").tobytes()),
        ("smoker", [2, 1], "BOOL", b"\x01\x00"),
        ("visits", [2], "INT32", np.array([3, -4], dtype="<i4").tobytes()),
        ("insured", [2], "BOOL", b"\x00\x01"),
        ("stage", [2], "BYTES", texts("II", "")),
        ("site", [2, 1], "BYTES", texts("Zürich", "here")),
    )
    table = build(sent, MIXED)
    columns = tables.compile_schema(MIXED).by_name(table)
    assert {name: values.tolist() for name, values in columns.items() if name not in ("age", "seen")} == {
        "radius": [1.5, 2.5],
        "smoker": [1.0, 0.0],
        "visits": [3, -4],
        "insured": [False, True],
        "stage": ["II", ""],
        "site": ["Zürich", "here"],
    }
    assert np.isnan(columns["age"]).all()
    assert columns["seen"].tolist() == ["", ""]


def test_bytes_and_json_may_come_together() -> None:
    described = {"name": "age", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    inputs = [{"name": "radius", "shape": [1], "datatype": "FP64", "data": [2.5]}, described]
    head = json.dumps({"inputs": inputs}).encode()
    table = build(b"%d\n" % len(head) + head + struct.pack("<d", 7))
    np.testing.assert_array_equal(table.floats, [[2.5, 7.0]])


@given(
    arrays.arrays(
        np.float64, st.tuples(st.integers(1, 5), st.just(2)), elements=st.floats(allow_nan=True, allow_infinity=True)
    )
)
def test_floats_mean_the_same_as_bytes_and_as_json(values: Any) -> None:
    """NaN is null in both; infinity is refused, since JSON has none."""
    sent = request(("x", list(values.shape), "FP64", values.tobytes()))
    if np.isnan(values[:, 0]).any() or np.isinf(values).any():
        assert "input 'radius'" in refusal(sent) or "input 'age'" in refusal(sent)
        return
    flat = [None if np.isnan(value) else value for value in values.ravel().tolist()]
    as_json = wire.RequestInput("x", list(values.shape), "FP64", flat)
    expected = tables.build(tables.compile_schema(NUMBERS), [as_json], MAX_ROWS)
    np.testing.assert_array_equal(build(sent).floats, expected.floats)


@given(arrays.arrays(np.int64, 3) | arrays.arrays(np.uint64, 3))
def test_integers_mean_the_same_as_bytes_and_as_json(values: Any) -> None:
    datatype = "INT64" if values.dtype == np.int64 else "UINT64"
    for column in (AGE, VISITS):
        of = signature(column)
        as_json = wire.RequestInput(column.name, [3], datatype, values.tolist())
        sent = request((column.name, [3], datatype, values.tobytes()))
        expected, found = outcome(of, as_json), outcome(of, sent)
        assert found == expected


def outcome(of: Any, sent: wire.RequestInput | bytes) -> object:
    """What became of it: the values and what was coerced, or the refusal."""
    try:
        table = (
            build(sent, of) if isinstance(sent, bytes) else tables.build(tables.compile_schema(of), [sent], MAX_ROWS)
        )
    except RequestError as error:
        return error.message
    return table.floats.tolist(), [array.tolist() for array in table.others], table.coercions


@pytest.mark.parametrize(
    ("sent", "of", "message"),
    [
        (request(("x", [1, 2], "FP64", bytes(8))), NUMBERS, "input 'x': shape [1, 2] needs 2 values, got 1"),
        (request(("x", [1, 2], "FP64", bytes(15))), NUMBERS, "15 bytes are no whole number of FP64, 8 bytes each"),
        (request(("x", [1, 2], "FP65", bytes(16))), NUMBERS, "input 'x': 'FP65' is no datatype of the protocol"),
        (request(("radius", [1], "BOOL", b"\x01")), signature(RADIUS), "expected datatype FP64, got BOOL"),
        (
            request(("insured", [2], "BOOL", b"\x01\x07")),
            signature(INSURED),
            "row 1: expected true or false, got 7",
        ),
        (request(("smoker", [1], "FP32", struct.pack("<f", 0.5))), signature(SMOKER), "expected true, false, 1, 0"),
        (request(("visits", [1], "FP64", struct.pack("<d", 0.5))), signature(VISITS), "a fraction would be lost"),
        (
            request(("visits", [1], "FP64", struct.pack("<d", float("nan")))),
            signature(VISITS),
            "row 0: expected an integer, got null",
        ),
        (
            request(("radius", [1], "FP64", struct.pack("<d", float("nan")))),
            signature(RADIUS),
            "the column is not nullable",
        ),
        (request(("site", [1], "BYTES", texts("a")[:-1])), signature(SITE), "input 'site': element 0 is cut off"),
        (request(("site", [1], "BYTES", texts("a") + b"\1\0")), signature(SITE), "input 'site': element 1 is cut off"),
        (request(("site", [1], "BYTES", b"\2\0\0\0\xc3\x28")), signature(SITE), "row 0: expected a string in UTF-8"),
        (request(("site", [2], "BYTES", texts("a"))), signature(SITE), "shape [2] needs 2 values, got 1"),
        (request(("x", [1, 2], "FP64", bytes(16))) + b"more", NUMBERS, "4 bytes are left behind the last input"),
        (request(("x", [1, 2], "FP64", bytes(16)))[:-1], NUMBERS, "binary_data_size is 16, and 15 bytes are there"),
        (b'9\n{"a": 1}', NUMBERS, "is '9'; expected 1 to 8"),
        (b"0\n{}", NUMBERS, "is '0'; expected 1 to 2"),
        (b"-1\n{}", NUMBERS, "is '-1'"),
        (b"9" * 5000 + b"\n{}", NUMBERS, "expected 1 to 2"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_named(sent: bytes, of: Any, message: str) -> None:
    assert message in refusal(sent, of)


@pytest.mark.parametrize("size", ["8", -1, 1.5, True])
def test_a_size_that_is_none_is_named(size: Any) -> None:
    described = {"name": "x", "shape": [1, 1], "datatype": "FP64", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [described]}).encode()
    assert f"input 'x': binary_data_size is {size!r}, and 8 bytes are there" in refusal(
        b"%d\n" % len(head) + head + bytes(8)
    )


def test_values_come_once() -> None:
    described = {"name": "x", "shape": [1], "datatype": "FP64", "data": [1], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [described]}).encode()
    assert "input 'x' has data and binary_data_size" in refusal(b"%d\n" % len(head) + head + bytes(8))
    without = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64"}]}).encode()
    assert refusal(b"%d\n" % len(without) + without) == "input 'x' has no data"


@given(st.lists(st.text(max_size=5), max_size=5))
def test_strings_survive_both_ways(values: list[str]) -> None:
    content = binary.write(Result("predict", "BYTES", np.array([*values, "x"], dtype=object)[:-1]))
    assert content == texts(*values)
    item = wire.RequestInput("x", [len(values)], "BYTES", parameters={"binary_data_size": len(content)})
    (read,) = binary.attach(wire.InferRequest([item]), memoryview(content))
    assert isinstance(read, Tensor)
    assert read.data == values


@pytest.mark.parametrize(
    ("datatype", "values", "expected"),
    [
        ("FP64", np.array([[1.5, 2.0], [3.0, 4.0]]).T, struct.pack("<4d", 1.5, 3, 2, 4)),
        ("INT64", np.array([1, -1]), struct.pack("<2q", 1, -1)),
        ("BOOL", np.array([True, False]), b"\x01\x00"),
    ],
)
def test_outputs_are_written_row_by_row_in_their_datatype(datatype: str, values: Any, expected: bytes) -> None:
    assert binary.write(Result("predict", datatype, values)) == expected
