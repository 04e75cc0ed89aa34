"""One call of the model for the rows of several requests. Runs in the prediction thread, touches nothing shared.

Besides what callers ask for, a call computes what monitoring watches, and feedback tokens are made here: an output that
the model does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec
import numpy as np

from mainspring_runtime.model.signature import Signature
from mainspring_runtime.serve import tables
from mainspring_runtime.serve.tables import Schema, Table
from mainspring_runtime.serve.tensors import Array

Outputs = tuple[str, ...]  # names, in the order that the caller wants
OUTPUT_CHOICES = 64  # of which it is remembered what the model must compute

Results = Mapping[str, Array]  # outputs by name, [rows] or [rows, K]


class Result(msgspec.Struct, frozen=True, gc=False):
    """One output for one request: `values` [rows] or [rows, K], of the datatype's own type."""

    name: str
    datatype: str
    values: Array


Answer = list[Result]


class Predicted(msgspec.Struct, frozen=True, gc=False):
    """What one call of the model gave: an answer for each request, and all rows and results for whoever counts them."""

    answers: list[Answer]
    parts: Sequence[Table] = ()  # as they came, one for each answer
    table: Table | None = None  # the same, joined
    results: Results = {}


Predict = Callable[[Sequence[Table], Outputs], Predicted]


class Predictor(Protocol):
    """What the server needs of `mainspring_runtime.model.predictor`."""

    @property
    def signature(self) -> Signature: ...
    @property
    def path(self) -> str: ...
    @property
    def platform(self) -> str: ...
    @property
    def only_computes(self) -> bool: ...
    @property
    def fallback_reason(self) -> str | None: ...
    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]: ...


class MakeTokens(Protocol):
    """Makes the values of an output that belongs to the server, not to the model."""

    name: str
    needs: Outputs

    def make(self, results: Results) -> Array: ...


def make_predict(
    predictor: Predictor, schema: Schema, watched: Outputs = (), tokens: MakeTokens | None = None
) -> Predict:
    """A function from tables and output names to one answer per table.

    `watched` outputs are computed with every call. With `tokens` there is one more output to ask for.
    """
    datatypes = {output.name: output.datatype for output in predictor.signature.outputs}
    own = frozenset(datatypes)
    if tokens is not None:
        datatypes[tokens.name] = "BYTES"

    @lru_cache(maxsize=OUTPUT_CHOICES)
    def needed(outputs: Outputs) -> Outputs:
        signed = tokens.needs if tokens is not None and tokens.name in outputs else ()
        return tuple(name for name in dict.fromkeys((*outputs, *watched, *signed)) if name in own)

    def predict(parts: Sequence[Table], outputs: Outputs) -> Predicted:
        table = tables.join(parts)
        results = predictor.predict(schema.by_name(table), needed(outputs))
        if tokens is not None and tokens.name in outputs:
            results = {**results, tokens.name: tokens.make(results)}
        columns = [(name, datatypes[name], np.asarray(results[name])) for name in outputs]
        return Predicted(split(columns, [part.rows for part in parts]), parts, table, results)

    return predict


def split(results: Sequence[tuple[str, str, Array]], rows: Sequence[int]) -> list[Answer]:
    """Cut the results ([total rows] or [total rows, K]) back into one answer per request: views, no copies."""
    if len(rows) == 1:
        return [[Result(*result) for result in results]]
    answers: list[Answer] = []
    start = 0
    for count in rows:
        end = start + count
        answers.append([Result(name, datatype, values[start:end]) for name, datatype, values in results])
        start = end
    return answers
