"""Whether two revisions answer the same, row by row.

Rows are compared by the default outputs of the model, or by all that were asked for when none of those was. Strings and
integers have to be equal. Numbers may differ by a share of the standard deviation of the stable answers, which is known
after `ENOUGH` of them, and in any case by what single precision rounds. Sums: B. P. Welford, Technometrics 4 (1962),
joined as T. F. Chan, G. H. Golub and R. J. LeVeque have it (Stanford STAN-CS-79-773).
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring_runtime.serve import binary
from mainspring_runtime.serve.errors import Headers, RequestError
from mainspring_runtime.serve.http import ENCODINGS
from mainspring_runtime.serve.monitoring.wire import FEEDBACK_OUTPUT
from mainspring_runtime.serve.predicting import Outputs
from mainspring_runtime.serve.tables import Input
from mainspring_runtime.serve.tensors import FLOATS, Array
from mainspring_runtime.serve.wire import BINARY_HEADER, InferRequest, RequestInput

ENOUGH = 30  # numbers, to know how much they vary
ROUNDING = 1e-6  # of the value
MAX_BYTES = 256 * 1024  # of both answers: reading them must not hold others up

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A body with the headers that say how to read it."""

    headers: Headers
    body: bytes


class Unreadable(Exception):
    """Not an answer of either protocol."""


class _Body(msgspec.Struct, frozen=True):
    """Of v2 or of v1; an output has the fields of an input."""

    outputs: list[RequestInput] = []
    predictions: list[Any] = []


class Column(msgspec.Struct, frozen=True, gc=False):
    """One output: its values, flat, of so many rows."""

    rows: int
    values: Sequence[Any] | Array
    is_float: bool


class Spread:
    """Mean and variance of all numbers so far."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = 0.0
        self._squares = 0.0

    @property
    def deviation(self) -> float:
        return math.sqrt(self._squares / (self.count - 1)) if self.count > 1 else 0.0

    def add(self, values: Floats) -> None:
        values = values[np.isfinite(values)]
        if not values.size:
            return
        total, mean = self.count + values.size, float(values.mean())
        apart = mean - self._mean
        self._squares += float(((values - mean) ** 2).sum()) + apart**2 * self.count * values.size / total
        self._mean += apart * values.size / total
        self.count = total


class Agreement:
    """Of one candidate with one stable revision."""

    def __init__(self, tolerance: float) -> None:
        """`tolerance` in standard deviations; 0 asks for equal numbers."""
        self._tolerance = tolerance
        self._rounding = ROUNDING if tolerance else 0.0
        self._spreads: dict[str, Spread] = defaultdict(Spread)

    def compare(self, stable: Answer, candidate: Answer, defaults: Outputs) -> tuple[int, int]:
        """Rows that were compared, and those of them that differ. Too large answers are not compared."""
        if len(stable.body) + len(candidate.body) > MAX_BYTES:
            return 0, 0
        try:
            wanted = _chosen(read(stable), defaults)
        except Unreadable:
            return 0, 0
        if not wanted:
            return 0, 0
        rows = next(iter(wanted.values())).rows
        try:
            differing = self._differing(wanted, read(candidate))
        except Unreadable:
            return rows, rows
        return (0, 0) if differing is None else (rows, int(differing.sum()))

    def _differing(self, wanted: Mapping[str, Column], given: Mapping[str, Column]) -> Flags | None:
        """By row; None while it is not known how much the numbers vary."""
        found = [self._column(name, column, given.get(name)) for name, column in wanted.items()]
        known = [flags for flags in found if flags is not None]
        if len(known) < len(found):
            return None
        differing: Flags = np.asarray(np.stack(known).any(axis=0))
        return differing

    def _column(self, name: str, wanted: Column, given: Column | None) -> Flags | None:
        if not wanted.is_float:
            return _unequal(wanted, given)
        numbers = _floats(wanted)
        spread = self._spreads[name]
        spread.add(numbers)
        if given is None or given.rows != wanted.rows or len(given.values) != len(wanted.values):
            return np.ones(wanted.rows, dtype=np.bool_)
        if spread.count < ENOUGH:
            return None
        others = _floats(given)
        far = np.maximum(np.abs(numbers), np.abs(others)) * self._rounding
        with np.errstate(invalid="ignore"):  # infinity less infinity
            near = np.abs(numbers - others) <= np.maximum(far, self._tolerance * spread.deviation)
        same = near | (numbers == others) | (np.isnan(numbers) & np.isnan(others))
        differing: Flags = np.asarray(~same.reshape(wanted.rows, -1).all(axis=1))
        return differing


def _unequal(wanted: Column, given: Column | None) -> Flags:
    if given is None or given.rows != wanted.rows or len(given.values) != len(wanted.values):
        return np.ones(wanted.rows, dtype=np.bool_)
    flags = [mine != other for mine, other in zip(wanted.values, given.values, strict=True)]
    differing: Flags = np.asarray(np.array(flags, dtype=np.bool_).reshape(wanted.rows, -1).any(axis=1))
    return differing


def _floats(column: Column) -> Floats:
    """Null is NaN. Raises `Unreadable` for what is no number."""
    try:
        return np.array(column.values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Unreadable(str(error)) from error


def _chosen(columns: Mapping[str, Column], defaults: Outputs) -> Mapping[str, Column]:
    """Those that are compared. Tokens differ by design."""
    given = {name: column for name, column in columns.items() if name != FEEDBACK_OUTPUT}
    return {name: given[name] for name in defaults if name in given} or given


def read(answer: Answer) -> dict[str, Column]:
    """The outputs by name; that of v1, which has none, is `''`. Raises `Unreadable`."""
    headers = dict(answer.headers)
    try:
        content = _plain(answer.body, headers.get(b"content-encoding"))
        length = headers.get(BINARY_HEADER)
        body, rest = (content, memoryview(b"")) if length is None else binary.divide(content, length)
        found = msgspec.json.decode(body, type=_Body)
        items = binary.attach(InferRequest(found.outputs), rest)
        columns = {item.name: _of_v2(item) for item in items} or _of_v1(found.predictions)
    except (msgspec.DecodeError, RequestError, zlib.error, LookupError, TypeError) as error:
        raise Unreadable(str(error)) from error
    if len({column.rows for column in columns.values()}) != 1 or not all(map(_is_whole, columns.values())):
        raise Unreadable("an output has not the values of so many rows")
    return columns


def _is_whole(column: Column) -> bool:
    return column.rows > 0 and len(column.values) > 0 and len(column.values) % column.rows == 0


def _plain(body: bytes, encoding: bytes | None) -> bytes:
    """At most `MAX_BYTES` of it, more than which is cut off and then no JSON."""
    if encoding is None:
        return body
    return zlib.decompressobj(ENCODINGS[encoding]).decompress(body, MAX_BYTES)


def _of_v2(item: Input) -> Column:
    values = _flat(item.data) if item.data is not None else ()
    return Column(item.shape[0], values, item.datatype in FLOATS)


def _flat(values: Sequence[Any] | Array) -> Sequence[Any] | Array:
    """In row-major order; the protocol allows lists by dimension, too."""
    while len(values) and isinstance(values[0], list):
        values = [value for row in values for value in row]
    return values


def _of_v1(predictions: Sequence[Any]) -> dict[str, Column]:
    """Values, lists or objects, one for each row."""
    if not predictions or not isinstance(predictions[0], dict):
        return {"": _rows(predictions)}
    return {name: _rows([row[name] for row in predictions]) for name in predictions[0]}


def _rows(values: Sequence[Any]) -> Column:
    flat = _flat(values)
    return Column(len(values), flat, any(isinstance(value, float) for value in flat))
