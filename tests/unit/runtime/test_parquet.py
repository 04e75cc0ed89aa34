"""What we write ourselves, read by the two readers that people use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring_runtime import parquet
from mainspring_runtime.parquet import Column, Kind

TYPES = {
    Kind.BOOLEAN: (np.bool_, pa.bool_(), st.booleans()),
    Kind.INTEGER: (np.int64, pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    Kind.TIME: (np.int64, pa.timestamp("us", tz="UTC"), st.integers(0, 2**51)),
    Kind.FLOAT: (np.float64, pa.float64(), st.floats(allow_nan=False)),
    Kind.TEXT: (object, pa.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=200)),
}


def column(kind: Kind, values: list[Any]) -> Column:
    """None is a missing value."""
    dtype = TYPES[kind][0]
    filler = "" if kind is Kind.TEXT else 0
    found: Any = np.empty(len(values), dtype=dtype)
    found[:] = [filler if value is None else value for value in values]
    return Column(f"a {kind.name}", kind, found, np.array([value is not None for value in values], dtype=np.bool_))


@pytest.mark.parametrize("kind", Kind)
@settings(max_examples=50)
@given(data=st.data())
def test_pyarrow_reads_what_was_written(kind: Kind, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | TYPES[kind][2], min_size=1, max_size=300))
    made = column(kind, values)
    table = pq.read_table(pa.BufferReader(parquet.encode([made, made.__class__("other", kind, made.values)])))
    assert table.schema.types == [TYPES[kind][1]] * 2
    read = table[0].cast(pa.int64()).to_pylist() if kind is Kind.TIME else table[0].to_pylist()
    assert read == values
    assert table[1].null_count == 0


def test_duckdb_reads_what_was_written(tmp_path: Path) -> None:
    columns = [
        column(Kind.TEXT, ["ü", None, ""]),
        column(Kind.INTEGER, [None, -(2**63), 5]),
        column(Kind.FLOAT, [1.5, float("inf"), None]),
        column(Kind.BOOLEAN, [True, None, False]),
        column(Kind.TIME, [1_700_000_000_000_001, None, 0]),
    ]
    path = tmp_path / "part.parquet"
    path.write_bytes(parquet.encode(columns))
    with duckdb.connect() as connection:
        read = connection.execute(f'SELECT * REPLACE (epoch_us("a TIME") AS "a TIME") FROM \'{path}\'').fetchall()
    assert read == [
        ("ü", None, 1.5, True, 1_700_000_000_000_001),
        (None, -(2**63), float("inf"), None, None),
        ("", 5, None, False, 0),
    ]


def test_many_columns_and_many_rows(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    columns = [Column(f"c{number}", Kind.FLOAT, generator.normal(size=20_000)) for number in range(300)]
    table = pq.read_table(pa.BufferReader(parquet.encode(columns)))
    assert table.shape == (20_000, 300)
    np.testing.assert_array_equal(table["c299"].to_numpy(), columns[299].values)


def test_columns_of_different_lengths_are_no_table() -> None:
    with pytest.raises(ValueError, match="rows"):
        parquet.encode([column(Kind.INTEGER, [1]), column(Kind.FLOAT, [1.0, 2.0])])
