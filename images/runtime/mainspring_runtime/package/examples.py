"""Example rows of a user: the columns of a model with their types, and values to try it with.

Types are found as `prepare` finds those of a Dataset, so that a model is asked for the same datatypes wherever it came from.
Nothing of these rows goes into the version but bins, categories, and rows that are drawn column by column.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute as pc
import pyarrow.types as arrow

from mainspring.api.v1alpha1.dataset import ColumnType
from mainspring_runtime.data import engine, limits, reading
from mainspring_runtime.data.engine import Connection
from mainspring_runtime.data.profile import CATEGORY_MAX_SHARE, CATEGORY_MAX_VALUES
from mainspring_runtime.data.reading import SourceFile
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.prepared import DatasetColumn, Rows, to_numpy

MAX_ROWS = 100_000
LINES_FILE = "example.jsonl"


@dataclass(frozen=True)
class Examples:
    """`columns` in the order of the file; `rows` hold their values, and a target that says nothing."""

    columns: tuple[DatasetColumn, ...]
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, names: Sequence[str]) -> Examples:
        """These columns, in this order."""
        of = {column.name: column for column in self.columns}
        return self.replaced(tuple(of[name] for name in names))

    def replaced(self, columns: tuple[DatasetColumn, ...]) -> Examples:
        """Other descriptions of (some of) the same columns."""
        values = {column.name: self.rows.columns[column.name] for column in columns}
        return Examples(columns, Rows(values, self.rows.target))


@dataclass(frozen=True)
class Reading:
    """What to do with columns, by name. `targets` are left out like `exclude`, if they are there; `texts` are not turned
    into numbers or times; `nullable` may be missing although no value is."""

    exclude: Collection[str] = ()
    targets: Collection[str] = ()
    texts: Collection[str] = ()
    nullable: Collection[str] = ()


def read(path: Path, work: Path, how: Reading) -> Examples:
    """The rows of a CSV, Parquet, JSON or JSON lines file, at most `MAX_ROWS`.

    Raises `PermanentError`: SourceUnreadable, UnknownFormat, UnknownColumn, UnsupportedColumn or NoRows.
    """
    table = _table(path, work, how.texts)
    _require_known(table, (*how.exclude, *how.texts, *how.nullable))
    table = table.select([name for name in table.column_names if name not in {*how.exclude, *how.targets}])
    if len(table) == 0 or not table.column_names:
        raise PermanentError("NoRows", f"{path.name} has no rows or no columns that a model could take")
    columns = tuple(_column(name, table[name], name in how.nullable) for name in table.column_names)
    values = {column.name: to_numpy(column, _values(column, table[column.name])) for column in columns}
    return Examples(columns, Rows(values, np.zeros(len(table))))


def _table(path: Path, work: Path, texts: Collection[str]) -> pyarrow.Table:
    if not path.is_file():
        raise PermanentError("SourceUnreadable", f"{path} does not exist; --example names a file with rows")
    with _opened(path, work) as (connection, file):
        reading.load(connection, [file], reading.format_of([file.name], None), texts)
        return connection.execute(f"SELECT * FROM {reading.DATASET} LIMIT {MAX_ROWS}").to_arrow_table()


@contextmanager
def _opened(path: Path, work: Path) -> Iterator[tuple[Connection, SourceFile]]:
    """A connection that may read the file; a JSON document with a list of rows is written as lines first."""
    source = SourceFile(path, path.name)
    if path.suffix.lower() == ".json":
        source = SourceFile(_as_lines(path, work / LINES_FILE), LINES_FILE)
    bounds = limits.current()
    try:
        with engine.connect(work, bounds, threads=1, files=[source.path]) as connection:
            yield connection, source
    finally:
        shutil.rmtree(work / "spill", ignore_errors=True)


def _as_lines(path: Path, target: Path) -> Path:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PermanentError("SourceUnreadable", f"{path.name} is not JSON: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        message = (
            f'{path.name} must be a list of rows such as [{{"age": 61, "stage": "II"}}], or JSON lines in a .jsonl file'
        )
        raise PermanentError("SourceUnreadable", message)
    target.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return target


def _require_known(table: pyarrow.Table, names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in table.column_names]:
        message = f"the example has no column {unknown[0]!r}; it has {', '.join(table.column_names[:20])}"
        raise PermanentError("UnknownColumn", message, unknown)


def _column(name: str, values: pyarrow.ChunkedArray, nullable: bool) -> DatasetColumn:
    """Described as its values are; a column may be missing when some value is."""
    kind = _kind(name, values.type)
    if kind is not ColumnType.STRING:
        return DatasetColumn(name, kind, "Feature", nullable or _has_gaps(values))
    texts = values.cast(pyarrow.string()).fill_null("")
    categories = _categories(texts)
    kind = ColumnType.STRING if categories is None else ColumnType.CATEGORY
    return DatasetColumn(name, kind, "Feature", nullable or bool(pc.any(pc.equal(texts, "")).as_py()), categories)


def _has_gaps(values: pyarrow.ChunkedArray) -> bool:
    nan = arrow.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py()
    return values.null_count > 0 or bool(nan)


def _categories(texts: pyarrow.ChunkedArray) -> tuple[str, ...] | None:
    """The rule of `data.profile`: text with few distinct values."""
    known = texts.filter(pc.not_equal(texts, ""))
    distinct = known.unique().to_pylist()
    few = 0 < len(distinct) <= CATEGORY_MAX_VALUES and len(distinct) < CATEGORY_MAX_SHARE * len(known)
    return tuple(sorted(distinct)) if few else None


def _kind(name: str, type_: pyarrow.DataType) -> ColumnType:
    for fits, kind in _KINDS:
        if fits(type_):
            return kind
    raise PermanentError("UnsupportedColumn", f"column {name!r} has type {type_}; leave it out with --exclude", [name])


def _values(column: DatasetColumn, values: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """In the types that prepared data has."""
    match column.kind:
        case ColumnType.TIMESTAMP:
            return values.cast(pyarrow.timestamp("us", tz="UTC"))
        case ColumnType.STRING | ColumnType.CATEGORY:
            return values.cast(pyarrow.string())
        case ColumnType.INTEGER:
            return values.cast(pyarrow.int64())
    return values


_KINDS = (
    (arrow.is_boolean, ColumnType.BOOLEAN),
    (arrow.is_integer, ColumnType.INTEGER),
    (arrow.is_floating, ColumnType.FLOAT),
    (arrow.is_decimal, ColumnType.FLOAT),
    (arrow.is_timestamp, ColumnType.TIMESTAMP),
    (arrow.is_date, ColumnType.TIMESTAMP),
    (arrow.is_string, ColumnType.STRING),
    (arrow.is_large_string, ColumnType.STRING),
    (arrow.is_dictionary, ColumnType.STRING),
)
