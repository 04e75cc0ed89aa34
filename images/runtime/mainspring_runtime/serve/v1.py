"""The v1 protocol of KServe and TensorFlow Serving (`:predict`), for clients that are not migrated yet.

Specification: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol. `instances` has one
entry for each row: a list of values in the order of the model's inputs, or an object by name; a value alone will do for a
model with one input. `inputs` has the same, or an object of whole columns. The answer is the default output of the model,
`{"predictions": […]}`, one entry for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring_runtime.serve import tables, wire
from mainspring_runtime.serve.errors import bad_request
from mainspring_runtime.serve.http import Response
from mainspring_runtime.serve.predicting import Answer
from mainspring_runtime.serve.served import Asked, ServedModel
from mainspring_runtime.serve.tables import Schema
from mainspring_runtime.serve.wire import RequestInput


class PredictRequest(msgspec.Struct, frozen=True):
    """The body of a POST to `…:predict`."""

    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None


_DECODER = wire.Decoder(PredictRequest, "a v1 request")


def read(model: ServedModel, body: bytes, max_rows: int) -> Asked:
    """Raises `RequestError` 400 or 413."""
    request = _DECODER.decode(body)
    given = request.inputs if request.instances is None else request.instances
    if given is None:
        raise bad_request('expected {"instances": […]} with one entry for each row')
    columns = given if isinstance(given, dict) else _by_column(model.schema, given, max_rows)
    inputs = [_input(model.schema, name, values) for name, values in columns.items()]
    return Asked(tables.build(model.schema, inputs, max_rows), model.default_outputs, _write)


def _by_column(schema: Schema, rows: Sequence[Any], max_rows: int) -> Mapping[str, list[Any]]:
    if not rows:
        raise bad_request("expected at least one instance")
    tables.require_rows(len(rows), max_rows)
    if isinstance(rows[0], dict):
        return _from_objects(rows)
    return _from_lists(schema, rows if isinstance(rows[0], list) else [[value] for value in rows])


def _from_objects(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """What a row leaves out is null; whether it may be is for the column to say. What all leave out is left out."""
    names: dict[str, None] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise bad_request(f"instance {index}: expected an object, as the first one is")
        names.update(dict.fromkeys(row))
    return {name: [row.get(name) for row in rows] for name in names}


def _from_lists(schema: Schema, rows: Sequence[Any]) -> dict[str, list[Any]]:
    names = [column.name for column in schema.columns]
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            got = f"{len(row)} values" if isinstance(row, list) else "no list"
            raise bad_request(f"instance {index}: expected a list of {len(names)} values, got {got}")
    return {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _input(schema: Schema, name: str, values: Any) -> RequestInput:
    if not isinstance(values, list):
        raise bad_request(f"input {name!r}: expected a list of values")
    return RequestInput(name, [len(values)], _datatype(schema.datatypes.get(name), values), values)


def _datatype(of_column: str | None, values: Sequence[Any]) -> str:
    """v1 does not say datatypes, so they are the column's own, or what the values are."""
    integers = all(type(value) is int for value in values)
    if of_column is None:  # the key, or an input that does not exist, which is for `tables` to say
        return "INT64" if integers else "BYTES"
    return "INT64" if integers and of_column == "BOOL" else of_column


def _write(answer: Answer) -> Response:
    """One output is a value (or a list) for each row; several are an object for each row."""
    columns = {result.name: result.values.tolist() for result in answer}
    if len(columns) == 1:
        return Response(200, wire.encode({"predictions": next(iter(columns.values()))}))
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Response(200, wire.encode({"predictions": rows}))
