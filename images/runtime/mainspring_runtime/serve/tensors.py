"""The values of one input, as JSON or bytes gave them, to the array that the model's signature asks for. Pure.

Nothing is guessed and nothing is lost: a value that the column's datatype cannot hold exactly is refused, by name and row.
A value that it can hold although the caller declared another datatype (an integer for a float) is accepted and counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from datetime import datetime
from types import NoneType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring_runtime.model.signature import Column
from mainspring_runtime.serve.errors import RequestError, bad_request

Array = npt.NDArray[Any]
Values = list[Any] | Array  # of an input, flat: from JSON, or from bytes
Converted = tuple[Array, int]  # the values, and how many were coerced
Keys = tuple[str | None, ...]  # for each row, None where there is none

FLOATS = frozenset({"BF16", "FP16", "FP32", "FP64"})
INTEGERS = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
NULLABLE = frozenset({"FP64", "BYTES"})  # the datatypes that have a value for missing
EXACT_INTEGERS = 2**53  # every integer up to here is a float64
SHOWN_CHARACTERS = 40


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """An input whose values came as bytes: a flat array of its datatype; strings are a list, as JSON would give them."""

    name: str
    shape: list[int]
    datatype: str
    data: Values


def to_array(column: Column, datatype: str, values: Values) -> Converted:
    """The values ([N], flat) of an input declared as `datatype`, in the datatype of `column`.

    FP64: float64 with NaN for null, NaN and "NaN"; INT64: int64; BOOL: bool; BYTES: object array of str with '' for null.
    Raises `RequestError` 400.
    """
    if datatype not in _accepted(column):
        raise bad_request(f"input {column.name!r}: expected datatype {column.datatype}, got {datatype}")
    if isinstance(values, np.ndarray):
        if (array := _same_kind(column, datatype, values)) is not None:
            return array, 0
        values = to_list(datatype, values)
    elif (array := _plain(column, datatype, values)) is not None:
        return array, 0
    return CONVERTERS[column.datatype](column, datatype, values)


def missing(column: Column, rows: int) -> Array:
    """What stands for an input that the caller left out, which only a nullable one may be."""
    if not column.nullable:
        raise bad_request(f"input {column.name!r} is missing: expected {column.datatype} of shape [N] or [N, 1]")
    return np.full(rows, np.nan) if column.datatype == "FP64" else np.full(rows, "", dtype=object)


def to_list(datatype: str, values: Array) -> list[Any]:
    """What JSON would have given: true and false, null for NaN."""
    items: list[Any] = values.tolist()
    if datatype == "BOOL":
        return [bool(item) if item < 2 else item for item in items]
    return [None if item != item else item for item in items] if datatype in FLOATS else items


def _same_kind(column: Column, datatype: str, values: Array) -> Array | None:
    """At once, when nothing has to be coerced or refused; None leaves that to the converters, value by value."""
    match column.datatype:
        case "FP64" if datatype in FLOATS and column.kind != "Boolean":
            bad = np.isinf(values) if column.nullable else ~np.isfinite(values)
            return None if bad.any() else values.astype(np.float64)
        case "INT64" if datatype in INTEGERS and datatype != "UINT64":
            return values.astype(np.int64)
        case "BOOL" if datatype == "BOOL" and not (values > 1).any():
            return values.astype(np.bool_)
    return None


def _plain(column: Column, datatype: str, values: list[Any]) -> Array | None:
    """The same for values of JSON: the usual case costs one look at their types."""
    kinds = set(map(type, values))
    match column.datatype:
        case "BYTES" if kinds == {str} and column.kind != "Timestamp" and (column.nullable or "" not in values):
            return as_objects(values)
        case "BOOL" if datatype == "BOOL" and kinds == {bool}:
            return np.array(values)
        case "FP64" if datatype in FLOATS and kinds == {float} and column.kind != "Boolean":
            return np.array(values)
    return None


def as_objects(values: list[Any]) -> Array:
    """An object array [N]; NumPy itself would make fixed-width text of it."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def to_keys(name: str, datatype: str, values: Values) -> Keys:
    """What tells rows apart, as text: it may come as strings or as integers. Raises `RequestError` 400."""
    values = values.tolist() if isinstance(values, np.ndarray) else values
    if datatype != "BYTES" and datatype not in INTEGERS:
        raise bad_request(f"input {name!r}: expected datatype BYTES or INT64 (it is the key), got {datatype}")
    wanted = (str, NoneType) if datatype == "BYTES" else (int, NoneType)
    if not set(map(type, values)) <= set(wanted):
        row = next(row for row, value in enumerate(values) if type(value) not in wanted)
        expected = "a string or null" if datatype == "BYTES" else "an integer or null"
        raise bad_request(f"input {name!r}, row {row}: expected {expected}, got {_shown(values[row])}")
    return tuple(None if value is None or value == "" else str(value) for value in values)


def _accepted(column: Column) -> Collection[str]:
    match column.datatype:
        case "FP64":
            return FLOATS | INTEGERS | ({"BOOL"} if column.kind == "Boolean" else set())
        case "INT64":
            return FLOATS | INTEGERS
        case "BOOL":
            return INTEGERS | {"BOOL"}
        case other:
            return {other}


def _to_floats(column: Column, datatype: str, values: list[Any]) -> Converted:
    boolean = column.kind == "Boolean"
    values = [None if value == "NaN" else value for value in values]
    _require_types(column, values, {float, int, NoneType} | ({bool} if boolean else set()), "a number")
    _require_present(column, values, None)
    if datatype in INTEGERS:
        _require(
            column,
            values,
            _is_exact,
            f"an integer within ±2^53 (a float cannot hold others exactly; declare {column.datatype} to round)",
        )
    if boolean:
        _require(column, values, lambda value: value is None or value in (0, 1), "true, false, 1, 0 or null")
    _require(column, values, _is_finite, "a number that a 64-bit float can hold")
    coerced = 0 if datatype in FLOATS else len(values) - values.count(None)
    return np.array(values, dtype=np.float64), coerced


def _to_integers(column: Column, datatype: str, values: list[Any]) -> Converted:
    _require_types(column, values, {int, float}, "an integer")
    _require(column, values, lambda value: -(2**63) <= value < 2**63, "a 64-bit integer")
    _require(column, values, lambda value: value == int(value), "an integer (a fraction would be lost)")
    coerced = 0 if datatype in INTEGERS else len(values)
    return np.array([int(value) for value in values], dtype=np.int64), coerced


def _to_booleans(column: Column, datatype: str, values: list[Any]) -> Converted:
    _require_types(column, values, {bool} if datatype == "BOOL" else {int}, "true or false")
    _require(column, values, lambda value: value in (0, 1), "true, false, 1 or 0")
    coerced = 0 if datatype == "BOOL" else len(values)
    return np.array(values, dtype=np.bool_), coerced


def _to_strings(column: Column, _datatype: str, values: list[Any]) -> Converted:
    _require_types(column, values, {str, NoneType}, "a string")
    _require_present(column, values, None)
    texts = ["" if value is None else value for value in values]
    _require_present(column, texts, "")
    if column.kind == "Timestamp":
        _require(column, texts, _is_timestamp, "an RFC 3339 time such as 2026-01-31T12:00:00Z")
    return as_objects(texts), 0


CONVERTERS: dict[str, Callable[[Column, str, list[Any]], Converted]] = {
    "FP64": _to_floats,
    "INT64": _to_integers,
    "BOOL": _to_booleans,
    "BYTES": _to_strings,
}


def _is_exact(value: int | float | None) -> bool:
    return value is None or (
        isinstance(value, int) and (abs(value) <= EXACT_INTEGERS or (_is_finite(value) and int(float(value)) == value))
    )


def _is_finite(value: int | float | None) -> bool:
    return value is None or abs(value) <= sys.float_info.max


def _is_timestamp(text: str) -> bool:
    try:
        return not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _require_types(column: Column, values: list[Any], allowed: Collection[type], expected: str) -> None:
    """All at once first: the usual case costs one pass in C."""
    if not set(map(type, values)) <= set(allowed):
        hint = " or null" if column.nullable else ""
        row = next(row for row, value in enumerate(values) if type(value) not in allowed)
        raise _refused(column, row, expected + hint, values[row])


def _require_present(column: Column, values: list[Any], absent: object) -> None:
    if not column.nullable and absent in values:
        row = values.index(absent)
        raise _refused(column, row, "a value, since the column is not nullable", values[row])


def _require(column: Column, values: list[Any], accepts: Callable[[Any], bool], expected: str) -> None:
    for row, value in enumerate(values):
        if not accepts(value):
            raise _refused(column, row, expected, value)


def _refused(column: Column, row: int, expected: str, value: object) -> RequestError:
    return bad_request(f"input {column.name!r}, row {row}: expected {expected}, got {_shown(value)}")


def _shown(value: object) -> str:
    shown = "null" if value is None else repr(value)
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"
