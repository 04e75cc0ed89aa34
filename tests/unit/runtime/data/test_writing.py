"""Parquet files of fixed row groups, without a trace of the run."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from mainspring_runtime.data import writing
from mainspring_runtime.data.writing import rows_per_group
from tests.unit.runtime.data.preparing import Workshop, two_classes


@pytest.mark.parametrize(("columns", "expected"), [(1, 65_536), (16, 65_536), (20, 32_768), (500, 2048), (5000, 1024)])
def test_row_groups_have_about_a_million_cells(columns: int, expected: int) -> None:
    assert rows_per_group(columns) == expected


def test_row_groups_are_full_but_the_last(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "CELLS_PER_GROUP", 2**10)
    monkeypatch.setattr(writing, "ROWS_PER_GROUP", (1, 2**16))
    made = workshop.prepare_rows(two_classes(600))
    metadata = pq.read_metadata(made.directory / "data/train.parquet")
    sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert sizes[:-1] == [128] * (len(sizes) - 1)
    assert len(sizes) > 2
    assert 0 < sizes[-1] <= 128


def test_files_say_nothing_about_when_or_where_they_were_written(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(50))
    metadata = pq.read_metadata(made.directory / "data/train.parquet").metadata or {}
    assert set(metadata) <= {b"ARROW:schema"}
    assert b"work-0" not in (made.directory / "data/train.parquet").read_bytes()
