"""Rows to Parquet, one file for each side, the same bytes for the same rows.

Row groups have a fixed number of rows whatever the batches are that arrive, the writer's settings are fixed, and
statistics are added up in file order, so neither the number of threads nor the memory limit shows in the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mainspring.api.v1alpha1.dataset import ColumnType
from mainspring_runtime.data import ordering
from mainspring_runtime.data.canonical import TEXTUAL
from mainspring_runtime.data.engine import Connection, quoted, row
from mainspring_runtime.data.rowhash import Words
from mainspring_runtime.data.schema import Schema
from mainspring_runtime.data.split import SIDES, WINDOWED, Splitter
from mainspring_runtime.data.statistics import ColumnStatistics

COMPRESSION = "zstd"
CELLS_PER_GROUP = 2**20
ROWS_PER_GROUP = (2**10, 2**16)  # at least, at most
ARROW_TYPES = {
    ColumnType.FLOAT: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.CATEGORY: pa.string(),
    ColumnType.STRING: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}
SIDE = "mainspring_side"


@dataclass(frozen=True)
class Written:
    """For each file its rows, and the statistics of each column."""

    rows: Mapping[str, int]
    statistics: Mapping[str, Mapping[str, ColumnStatistics]]

    def total(self, sides: Sequence[str], column: str) -> ColumnStatistics:
        return sum((self.statistics[side][column] for side in sides), ColumnStatistics())


def write(connection: Connection, splitter: Splitter, schema: Schema, files: Mapping[str, Path], work: Path) -> Written:
    """Write the rows of `WINDOWED`, those of each side to its file."""
    arrow = pa.schema([(field.name, ARROW_TYPES[field.type]) for field in schema.fields])
    names = ", ".join(quoted(name) for name in arrow.names)
    count = row(connection, f"SELECT count(*) FROM {WINDOWED}")[0]
    group_rows = rows_per_group(len(arrow))
    batches = connection.execute(f"SELECT {names} FROM {WINDOWED}").to_arrow_reader(group_rows)
    tables = _placed(batches, arrow, splitter)
    extended = arrow.append(pa.field(SIDE, pa.int8()))
    with ExitStack() as stack:
        writers = {
            side: stack.enter_context(SideWriter(path, arrow, schema, group_rows)) for side, path in files.items()
        }
        for table in ordering.in_order(tables, extended, ordering.bucket_count(count, len(arrow)), work):
            for side, part in _by_side(table):
                writers[side].add(part)
    return Written(
        {side: writer.rows for side, writer in writers.items()},
        {side: writer.statistics for side, writer in writers.items()},
    )


def rows_per_group(columns: int) -> int:
    """A power of two, so that a row group has about a million cells."""
    low, high = ROWS_PER_GROUP
    return int(min(max(2 ** int(np.log2(CELLS_PER_GROUP / columns)), low), high))


class SideWriter:
    """One Parquet file with row groups of equal size."""

    def __init__(self, path: Path, arrow: Any, schema: Schema, group_rows: int) -> None:
        textual = [field.name for field in schema.fields if field.type in TEXTUAL]
        # Dictionaries of measured numbers cost time and space; those of words save both.
        self._writer = pq.ParquetWriter(path, arrow, compression=COMPRESSION, use_dictionary=textual)
        self._group_rows = group_rows
        self._pending = arrow.empty_table()
        self.statistics = dict.fromkeys(arrow.names, ColumnStatistics())
        self.rows = 0

    def __enter__(self) -> SideWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._pending.num_rows:
            self._write(self._pending)
        self._writer.close()

    def add(self, table: Any) -> None:
        """Take more rows; full row groups are written at once."""
        self._pending = pa.concat_tables([self._pending, table])
        while self._pending.num_rows >= self._group_rows:
            self._write(self._pending.slice(0, self._group_rows))
            self._pending = self._pending.slice(self._group_rows)

    def _write(self, table: Any) -> None:
        self.rows += table.num_rows
        self._writer.write_table(table, row_group_size=table.num_rows)
        for name, known in self.statistics.items():
            self.statistics[name] = known.with_column(table.column(name))


def _placed(batches: Iterable[Any], arrow: Any, splitter: Splitter) -> Iterator[tuple[Any, Words]]:
    """The canonical rows with their side as the last column, and their positions."""
    for batch in batches:
        canonical = batch.cast(arrow)
        positions = splitter.positions(canonical)
        sides = pa.array(splitter.sides(canonical, positions))
        yield pa.Table.from_batches([canonical]).append_column(SIDE, sides), positions


def _by_side(table: Any) -> Iterator[tuple[str, Any]]:
    index = table.column(SIDE)
    rows = table.drop_columns([SIDE])
    for number, side in enumerate(SIDES):
        part = rows.filter(pc.equal(index, number))
        if part.num_rows:
            yield side, part
