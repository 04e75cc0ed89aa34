"""Rows in the order of a 64-bit hash, in bounded memory.

The hash is uniform, so its leading bits cut the rows into buckets of nearly equal size: each row goes to the file of
its bucket, and each bucket is then sorted by itself. This takes half the time of a general external sort and needs no
more than two buckets of memory. Rows with the same hash are ordered by all of their values, so the order is total.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainspring_runtime.data.rowhash import Words

CELLS_PER_BUCKET = 2**21
MAX_BUCKETS = 256  # each is an open file
POSITION = "mainspring_position"


def bucket_count(rows: int, columns: int) -> int:
    """Buckets of about two million values."""
    return min(max(1, -(-rows * columns // CELLS_PER_BUCKET)), MAX_BUCKETS)


def in_order(tables: Iterable[tuple[Any, Words]], arrow: Any, buckets: int, directory: Path) -> Iterator[Any]:
    """Yield all rows of `tables`, each given with its positions, as tables in the order of the positions.

    `arrow` is the common schema; `directory` is made and holds a copy of the rows while they are sorted.
    """
    directory.mkdir()
    paths = [directory / f"{number}.arrow" for number in range(buckets)]
    extended = arrow.append(pa.field(POSITION, pa.uint64()))
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(str(path), extended)) for path in paths]
        for table, positions in tables:
            _distribute(table.append_column(POSITION, pa.array(positions)), positions, writers)
    for path in paths:
        with pa.ipc.open_stream(str(path)) as reader:
            yield _sorted(reader.read_all())
        path.unlink()
    directory.rmdir()


def _distribute(table: Any, positions: Words, writers: list[Any]) -> None:
    """Append each row to the bucket that its position falls into."""
    numbers = _bucket_of(positions, len(writers))
    order = np.argsort(numbers, kind="stable")
    grouped = table.take(pa.array(order))
    bounds = np.searchsorted(numbers[order], np.arange(len(writers) + 1))
    for writer, start, end in zip(writers, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if end > start:
            writer.write_table(grouped.slice(start, end - start))


def _bucket_of(positions: Words, buckets: int) -> Any:
    # 32 leading bits are enough for 256 buckets, and the product stays within 64 bits.
    return ((positions >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int16)


def _sorted(table: Any) -> Any:
    """One bucket in order, without the position."""
    positions = table.column(POSITION).to_numpy()
    order = np.argsort(positions, kind="stable")
    ordered = positions[order]
    indices = pa.array(order)
    if np.any(ordered[1:] == ordered[:-1]):
        names = [POSITION, *(name for name in table.column_names if name != POSITION)]
        indices = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names])
    return table.drop_columns([POSITION]).take(indices)
