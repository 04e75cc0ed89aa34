"""One call of the model for the rows of several requests. Runs in the prediction thread, touches nothing shared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mainspring_runtime.model.signature import Signature
from mainspring_runtime.serve.tables import Schema, Table, compile_schema
from mainspring_runtime.serve.tensors import Array
from mainspring_runtime.serve.wire import ResponseOutput

Outputs = tuple[str, ...]  # names, in the order that the caller wants
Answer = list[ResponseOutput]
Predict = Callable[[Sequence[Table], Outputs], list[Answer]]


class Predictor(Protocol):
    """What the server needs of `mainspring_runtime.model.predictor`."""

    @property
    def signature(self) -> Signature: ...
    @property
    def path(self) -> str: ...
    @property
    def fallback_reason(self) -> str | None: ...
    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]: ...


def make_predict(predictor: Predictor, schema: Schema | None = None) -> Predict:
    """A function from tables and output names to one answer per table."""
    schema = schema or compile_schema(predictor.signature)
    datatypes = {output.name: output.datatype for output in predictor.signature.outputs}

    def predict(tables: Sequence[Table], outputs: Outputs) -> list[Answer]:
        results = predictor.predict(schema.join(tables), outputs)
        return split(
            [(name, datatypes[name], np.asarray(results[name])) for name in outputs], [table.rows for table in tables]
        )

    return predict


def split(results: Sequence[tuple[str, str, Array]], rows: Sequence[int]) -> list[Answer]:
    """Cut the results ([total rows] or [total rows, K]) back into one answer per request."""
    answers: list[Answer] = [[] for _ in rows]
    for name, datatype, array in results:
        shape = list(array.shape[1:])
        width = math.prod(shape)
        values: list[Any] = array.ravel().tolist()
        start = 0
        for answer, count in zip(answers, rows, strict=True):
            end = start + count * width
            answer.append(ResponseOutput(name, datatype, [count, *shape], values[start:end]))
            start = end
    return answers
