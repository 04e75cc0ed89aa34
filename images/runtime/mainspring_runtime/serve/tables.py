"""The inputs of a request to a table that follows the model's signature. Pure.

A table comes as one input per column (`[N]` or `[N, 1]`, by name, in any order), or as one tensor `[N, F]` whose columns
follow the signature. Floats, which most models take and nothing else, are kept as one matrix: converting twenty columns
costs about as much as converting one, and joining requests into a batch is one call.

The key of the Dataset may be sent as one input more. It is kept beside the columns and never reaches the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from types import NoneType

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.signature import Column, Signature
from mainspring_runtime.serve import tensors
from mainspring_runtime.serve.errors import RequestError, bad_request, closest
from mainspring_runtime.serve.payloads.mark import Mark
from mainspring_runtime.serve.tensors import Tensor, Values
from mainspring_runtime.serve.wire import RequestInput

PLAIN_NUMBERS = {float, int}
PLAIN_OR_NULL = {float, int, NoneType}

Matrix = npt.NDArray[np.float64]
Coercions = list[tuple[str, int]]
Cells = tuple[str, Values]  # declared datatype and flat values of one column
Input = RequestInput | Tensor


class Table(msgspec.Struct, frozen=True, gc=False):
    """Rows in the model's terms: `floats` [N, FP64 columns], `others` one [N] array per other column.

    A struct, because one is made for every request and a frozen dataclass takes five times as long.
    """

    rows: int
    floats: Matrix
    others: tuple[tensors.Array, ...] = ()
    coercions: tuple[tuple[str, int], ...] = ()  # columns with values that came as another datatype, and how many
    keys: tensors.Keys | None = None  # as they were sent along
    mark: Mark | None = None  # of a request that the payload log shall have
    shadow: bool = False  # of a copy of a request, whose rows are counted where the request was answered

    @property
    def coerced(self) -> int:
        """Values that came as another datatype."""
        return sum(count for _, count in self.coercions)


@dataclass(frozen=True)
class Schema:
    """The inputs of a signature, arranged for speed. Made once per model."""

    columns: tuple[Column, ...]
    names: frozenset[str]
    float_columns: tuple[Column, ...]
    float_names: tuple[str, ...]
    other_columns: tuple[Column, ...]
    float_places: tuple[int, ...]  # of the FP64 columns, among all
    other_places: tuple[int, ...]
    numbers: tuple[int, ...]  # of the FP64 columns, those that hold numbers; the others stand for booleans
    key: str | None = None  # an input that is none of the model's

    @cached_property
    def only_numbers(self) -> bool:
        return len(self.numbers) == len(self.columns)

    @cached_property
    def datatypes(self) -> dict[str, str]:
        """Of the columns, by name."""
        return {column.name: column.datatype for column in self.columns}

    @cached_property
    def nullable_numbers(self) -> bool:
        """Whether all columns of numbers take null."""
        return all(self.float_columns[place].nullable for place in self.numbers)

    def by_name(self, table: Table) -> dict[str, tensors.Array]:
        """The columns that a predictor takes."""
        columns: dict[str, tensors.Array] = dict(zip(self.float_names, table.floats.T, strict=True))
        for column, values in zip(self.other_columns, table.others, strict=True):
            columns[column.name] = values
        return columns


def join(parts: Sequence[Table]) -> Table:
    """The rows of several tables, one below the other, for the model: without keys and marks."""
    if len(parts) == 1:
        return parts[0]
    return Table(
        rows=sum(part.rows for part in parts),
        floats=np.concatenate([part.floats for part in parts]),
        others=tuple(map(np.concatenate, zip(*(part.others for part in parts), strict=True))),
        coercions=tuple(chain.from_iterable(part.coercions for part in parts)),
    )


def compile_schema(signature: Signature) -> Schema:
    """Raises `PermanentError("UnsupportedSignature")` for a column that a JSON table cannot carry."""
    for column in signature.inputs:
        _require_supported(column)
    places = [place for place, column in enumerate(signature.inputs) if column.datatype == "FP64"]
    others = [place for place in range(len(signature.inputs)) if place not in places]
    floats = tuple(signature.inputs[place] for place in places)
    names = frozenset(column.name for column in signature.inputs)
    return Schema(
        columns=signature.inputs,
        names=names,
        float_columns=floats,
        float_names=tuple(column.name for column in floats),
        other_columns=tuple(signature.inputs[place] for place in others),
        float_places=tuple(places),
        other_places=tuple(others),
        numbers=tuple(index for index, column in enumerate(floats) if column.kind != "Boolean"),
        key=None if signature.key in names else signature.key,
    )


def _require_supported(column: Column) -> None:
    if column.datatype not in tensors.CONVERTERS:
        known = ", ".join(tensors.CONVERTERS)
        raise PermanentError(
            "UnsupportedSignature", f"input {column.name!r} has datatype {column.datatype}; expected one of {known}"
        )
    if column.nullable and column.datatype not in tensors.NULLABLE:
        raise PermanentError(
            "UnsupportedSignature", f"input {column.name!r} is a nullable {column.datatype}; declare it as FP64"
        )


def build(schema: Schema, inputs: Sequence[Input], max_rows: int) -> Table:
    """The table of a request. Raises `RequestError` 400 naming the input, or 413 when it has more than `max_rows`."""
    if schema.key is not None and (keys := [item for item in inputs if item.name == schema.key]):
        table = _build(schema, [item for item in inputs if item.name != schema.key], max_rows)
        return msgspec.structs.replace(table, keys=_keys(keys, table.rows))
    return _build(schema, inputs, max_rows)


def _build(schema: Schema, inputs: Sequence[Input], max_rows: int) -> Table:
    if not inputs:
        raise bad_request(f"no inputs: expected {_expected(schema)}")
    rows = _rows(inputs[0], max_rows)
    if _is_tensor(schema, inputs):
        return _from_tensor(schema, inputs[0], rows)
    return _from_cells(schema, _by_column(schema, inputs, rows), rows)


def _rows(first: Input, max_rows: int) -> int:
    rows = first.shape[0] if first.shape else 0
    if rows < 1:
        raise bad_request(f"input {first.name!r}: expected at least one row, got shape {first.shape}")
    require_rows(rows, max_rows)
    return rows


def require_rows(rows: int, max_rows: int) -> None:
    """Raises `RequestError` 413."""
    if rows > max_rows:
        raise RequestError(413, f"{rows} rows in one request; the limit is {max_rows}, so send several requests")


def _keys(given: Sequence[Input], rows: int) -> tensors.Keys:
    """What was sent as the key. Raises `RequestError` 400."""
    item, *others = given
    if others:
        raise bad_request(f"input {item.name!r} is sent twice")
    if item.shape not in ([rows], [rows, 1]):
        raise bad_request(f"input {item.name!r}: expected shape [{rows}] or [{rows}, 1], got {item.shape}")
    return tensors.to_keys(item.name, item.datatype, _flatten(item, rows, 1))


def _is_tensor(schema: Schema, inputs: Sequence[Input]) -> bool:
    """One input that is no column of the model, or is too wide to be one."""
    only = inputs[0]
    return len(inputs) == 1 and len(only.shape) == 2 and (only.shape[1] != 1 or only.name not in schema.names)


def _from_tensor(schema: Schema, tensor: Input, rows: int) -> Table:
    width = len(schema.columns)
    if tensor.shape[1] != width:
        raise bad_request(_wrong_tensor(schema, tensor))
    flat = _flatten(tensor, rows, width)
    if (
        schema.only_numbers
        and tensor.datatype in tensors.FLOATS
        and (matrix := _plain_matrix([flat], schema.nullable_numbers)) is not None
    ):
        return Table(rows, matrix.reshape(rows, width))
    return _from_cells(schema, [(tensor.datatype, flat[index::width]) for index in range(width)], rows)


def _wrong_tensor(schema: Schema, tensor: Input) -> str:
    if tensor.shape[1] == 1:
        return f"unknown input {tensor.name!r}{closest(tensor.name, schema.names)}; expected {_expected(schema)}"
    return (
        f"input {tensor.name!r}: expected shape [N, {len(schema.columns)}] with {_expected(schema)}, got {tensor.shape}"
    )


def _by_column(schema: Schema, inputs: Sequence[Input], rows: int) -> list[Cells | None]:
    """The cells of each column in the order of the signature; None where the caller left one out."""
    given: dict[str, Cells] = {}
    shapes = [rows], [rows, 1]
    for item in inputs:
        if item.name not in schema.names:
            raise bad_request(
                f"unknown input {item.name!r}{closest(item.name, schema.names)}; expected {_expected(schema)}"
            )
        if item.name in given:
            raise bad_request(f"input {item.name!r} is sent twice")
        if item.shape not in shapes:
            raise bad_request(
                f"input {item.name!r}: expected shape [{rows}] or [{rows}, 1], as the first input has, got {item.shape}"
            )
        given[item.name] = item.datatype, _flatten(item, rows, 1)
    return [given.get(column.name) for column in schema.columns]


def _flatten(item: Input, rows: int, width: int) -> Values:
    """Row-major values, whether they came flat or nested by row."""
    values = item.data
    if values is None:
        raise bad_request(f"input {item.name!r} has no data")
    if isinstance(values, list) and values and type(values[0]) is list:
        if set(map(type, values)) != {list} or set(map(len, values)) != {width}:
            raise bad_request(f"input {item.name!r}: expected {width} values in each nested row of shape {item.shape}")
        values = list(chain.from_iterable(values))
    if len(values) != rows * width:
        raise bad_request(f"input {item.name!r}: shape {item.shape} needs {rows * width} values, got {len(values)}")
    return values


def _from_cells(schema: Schema, cells: Sequence[Cells | None], rows: int) -> Table:
    floats, coercions = _float_block(schema, [cells[place] for place in schema.float_places], rows)
    given = zip(schema.other_columns, schema.other_places, strict=True)
    others = [_convert(column, cells[place], rows) for column, place in given]
    coercions += _coercions(schema.other_columns, others)
    return Table(rows, floats, tuple(array for array, _ in others), tuple(coercions))


def _float_block(schema: Schema, cells: Sequence[Cells | None], rows: int) -> tuple[Matrix, Coercions]:
    """[N, FP64 columns], and where values were coerced."""
    numbers = _plain_numbers(schema, cells, rows)
    if numbers is not None and len(schema.numbers) == len(cells):
        return numbers.T, []
    block = np.empty((len(cells), rows))
    left: Sequence[int] = range(len(cells))
    if numbers is not None:
        block[list(schema.numbers)] = numbers
        left = [place for place in left if place not in schema.numbers]
    converted = [_convert(schema.float_columns[place], cells[place], rows) for place in left]
    for place, (array, _) in zip(left, converted, strict=True):
        block[place] = array
    return block.T, _coercions([schema.float_columns[place] for place in left], converted)


def _coercions(columns: Sequence[Column], converted: Sequence[tensors.Converted]) -> Coercions:
    return [(column.name, count) for column, (_, count) in zip(columns, converted, strict=True) if count]


def _plain_numbers(schema: Schema, cells: Sequence[Cells | None], rows: int) -> Matrix | None:
    """All columns of numbers at once, [columns, N], unless one needs a closer look."""
    values = [_plain_values(schema.float_columns[place], cells[place], rows) for place in schema.numbers]
    given = [item for item in values if item is not None]
    if not given or len(given) < len(values):
        return None
    matrix = _plain_matrix(given, schema.nullable_numbers)
    return None if matrix is None else matrix.reshape(len(given), rows)


def _plain_values(column: Column, cell: Cells | None, rows: int) -> Values | None:
    """The values of a column that came as floats, or was left out where it may be."""
    if cell is None:
        return [None] * rows if column.nullable else None
    return cell[1] if cell[0] in tensors.FLOATS else None


def _convert(column: Column, given: Cells | None, rows: int) -> tensors.Converted:
    return (tensors.missing(column, rows), 0) if given is None else tensors.to_array(column, *given)


def _plain_matrix(columns: Sequence[Values], nullable: bool) -> Matrix | None:
    """All values at once when they are numbers, or null where all columns take that; None leaves naming the culprit to `tensors`."""
    if not isinstance(columns[0], list):
        return _finite_matrix(columns)
    flat = columns[0] if len(columns) == 1 else list(chain.from_iterable(columns))
    if not set(map(type, flat)) <= (PLAIN_OR_NULL if nullable else PLAIN_NUMBERS):
        return None
    try:
        return np.array(flat, dtype=np.float64)  # null becomes NaN
    except OverflowError:
        return None


def _finite_matrix(columns: Sequence[Values]) -> Matrix | None:
    """The same for values that came as bytes, where NaN and infinity are values like others."""
    if any(isinstance(values, list) for values in columns):
        return None
    matrix = np.asarray(columns[0] if len(columns) == 1 else columns, dtype=np.float64)
    return matrix if np.isfinite(matrix).all() else None


def _expected(schema: Schema) -> str:
    shown = ", ".join(f"{column.name} ({column.datatype})" for column in schema.columns[:10])
    more = len(schema.columns) - 10
    return f"{shown} and {more} more" if more > 0 else shown
