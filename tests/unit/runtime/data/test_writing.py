"""Parquet files of fixed row groups, and moments that agree with numpy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mainspring_runtime.data.writing import Moments, moments_of, rows_per_group
from tests.unit.runtime.data.preparing import Workshop, two_classes


@pytest.mark.parametrize(("columns", "expected"), [(1, 65_536), (16, 65_536), (20, 32_768), (500, 2048), (5000, 1024)])
def test_row_groups_have_about_a_million_cells(columns: int, expected: int) -> None:
    assert rows_per_group(columns) == expected


def test_row_groups_are_full_but_the_last(workshop: Workshop) -> None:
    rows = 9000
    columns = {f"f{number}": [float(row) for row in range(rows)] for number in range(500)} | {"y": [row % 2 for row in range(rows)]}
    made = workshop.prepare_rows(columns)
    metadata = pq.read_metadata(made.directory / "data/train.parquet")
    sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert sizes[:-1] == [1024] * (len(sizes) - 1)
    assert len(sizes) > 3
    assert 0 < sizes[-1] <= 1024


def test_files_say_nothing_about_when_or_where_they_were_written(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(50))
    metadata = pq.read_metadata(made.directory / "data/train.parquet").metadata or {}
    assert set(metadata) <= {b"ARROW:schema"}
    assert b"work-0" not in (made.directory / "data/train.parquet").read_bytes()


def test_moments_of_parts_are_those_of_the_whole() -> None:
    values = np.random.default_rng(1).lognormal(5, 2, 10_000)
    parts = np.split(values, [1, 1000, 1000, 7777])
    total = sum((moments_of(pa.chunked_array([part])) for part in parts), Moments())
    assert total.count == 10_000
    assert total.mean == pytest.approx(values.mean(), rel=1e-12)
    assert total.squares / total.count == pytest.approx(values.var(), rel=1e-10)


def test_moments_leave_missing_values_out() -> None:
    assert moments_of(pa.chunked_array([[1.0, None, 3.0]])) == Moments(2, 2.0, 2.0)
    assert moments_of(pa.chunked_array([[None]], pa.float64())) == Moments()
    assert moments_of(pa.chunked_array([[True, False, True, True]])).mean == 0.75
