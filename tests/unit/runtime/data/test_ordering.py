"""Rows in hash order: complete, total, and the same however they arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mainspring_runtime.data import ordering


def order(table: pa.Table, positions: list[int], buckets: int, directory: Path, batch: int = 7) -> pa.Table:
    words = np.array(positions, dtype=np.uint64)
    parts = [(table.slice(start, batch), words[start : start + batch]) for start in range(0, len(words), batch)]
    return pa.concat_tables(ordering.in_order(parts, table.schema, buckets, directory))


@pytest.mark.parametrize("buckets", [1, 3, 256])
def test_rows_come_in_the_order_of_their_positions(tmp_path: Path, buckets: int) -> None:
    positions = [int(value) for value in np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)]
    table = pa.table({"p": pa.array(positions, pa.uint64()), "text": [f"row {value}" for value in positions]})
    result = order(table, positions, buckets, tmp_path / "buckets")
    assert result.column("p").to_pylist() == sorted(positions)
    assert result.column("text").to_pylist() == [f"row {value}" for value in sorted(positions)]


def test_the_extremes_have_a_bucket(tmp_path: Path) -> None:
    positions = [2**64 - 1, 0, 2**63]
    table = pa.table({"n": [3, 1, 2]})
    assert order(table, positions, 256, tmp_path / "buckets").column("n").to_pylist() == [1, 2, 3]


def test_equal_positions_are_ordered_by_the_values(tmp_path: Path) -> None:
    values: list[Any] = ["b", None, "a", "b", "c", "a"]
    results = [
        order(pa.table({"v": chosen, "w": [1.0] * 6}), [5] * 6, 2, tmp_path / f"{number}").column("v").to_pylist()
        for number, chosen in enumerate((values, values[::-1], sorted(values, key=str)))
    ]
    assert results[0] == results[1] == results[2] == ["a", "a", "b", "b", "c", None]


def test_no_more_than_a_bucket_is_held_at_once(tmp_path: Path) -> None:
    positions = np.random.default_rng(4).integers(0, 2**64, 100_000, dtype=np.uint64)
    table = pa.table({"n": np.arange(100_000)})
    parts = ((table.slice(start, 5_000), positions[start : start + 5_000]) for start in range(0, 100_000, 5_000))
    sizes = [part.num_rows for part in ordering.in_order(parts, table.schema, 10, tmp_path / "buckets")]
    assert sum(sizes) == 100_000
    # Six standard deviations of a binomial count around 10,000.
    assert all(abs(size - 10_000) < 6 * np.sqrt(9_000) for size in sizes)


def test_the_copy_on_disk_is_removed(tmp_path: Path) -> None:
    order(pa.table({"n": [1, 2]}), [1, 2], 4, tmp_path / "buckets")
    assert not (tmp_path / "buckets").exists()


@pytest.mark.parametrize(
    ("rows", "columns", "expected"), [(0, 5, 1), (100, 5, 1), (1_000_000, 20, 10), (10**9, 20, 256)]
)
def test_buckets_hold_about_two_million_values(rows: int, columns: int, expected: int) -> None:
    assert ordering.bucket_count(rows, columns) == expected
