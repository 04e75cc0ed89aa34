"""Statistics of a column, collected part by part."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mainspring_runtime.data.statistics import ColumnStatistics, DistinctSketch, Moments


def collect(*parts: Any) -> ColumnStatistics:
    statistics = ColumnStatistics()
    for part in parts:
        statistics = statistics.with_column(pa.chunked_array([part]))
    return statistics


def test_parts_give_the_statistics_of_the_whole() -> None:
    values = np.random.default_rng(1).lognormal(5, 2, 10_000)
    total = collect(*(pa.array(part) for part in np.split(values, [1, 1000, 1000, 7777])))
    assert (total.rows, total.missing, total.minimum, total.maximum) == (10_000, 0, values.min(), values.max())
    assert total.moments.mean == pytest.approx(values.mean(), rel=1e-12)
    assert total.moments.squares / total.rows == pytest.approx(values.var(), rel=1e-10)


def test_missing_values_are_counted_and_left_out() -> None:
    found = collect(pa.array([1.0, None, 3.0]), pa.array([None], pa.float64()))
    assert (found.rows, found.missing, found.present, found.moments) == (4, 2, 2, Moments(2, 2.0, 2.0))
    assert collect(pa.array([None], pa.string())).minimum is None


@pytest.mark.parametrize(
    ("array", "minimum", "mean"),
    [
        (pa.array([True, False, True, True]), 0, 0.75),
        (pa.array([2**62, 2**62 + 2]), 2**62, 2.0**62),
        (pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")), 1767225600000000, 1767225600000000.0),
    ],
)
def test_booleans_integers_and_times_are_numbers(array: Any, minimum: int, mean: float) -> None:
    found = collect(array)
    assert (found.minimum, found.moments.mean) == (minimum, mean)


def test_sides_can_be_added() -> None:
    one, other = collect(pa.array(["a", "b", None])), collect(pa.array(["b", "c"]))
    both = one + other
    assert (both.rows, both.missing, both.sketch.count) == (5, 1, 3)


@pytest.mark.parametrize("distinct", [0, 1, 9_999, 10_000])
def test_few_distinct_values_are_counted_exactly(distinct: int) -> None:
    values = pa.array(np.arange(20_000) % distinct if distinct else [], pa.int64())
    assert collect(values, values).sketch.count == distinct


@pytest.mark.parametrize("distinct", [10_001, 50_000, 1_000_000])
def test_many_distinct_values_are_estimated_within_four_standard_errors(distinct: int) -> None:
    values = np.random.default_rng(7).permutation(distinct)
    assert collect(*(pa.array(part) for part in np.split(values, [3000]))).sketch.count == pytest.approx(
        distinct, rel=0.04
    )


def test_a_sketch_does_not_depend_on_order_or_repetition() -> None:
    hashes = np.random.default_rng(8).integers(0, 2**64, 30_000, dtype=np.uint64)
    forward = DistinctSketch().with_hashes(hashes).with_hashes(hashes[:100])
    backward = DistinctSketch().with_hashes(hashes[20_000:]).with_hashes(hashes[:20_000])
    assert forward.smallest.tolist() == backward.smallest.tolist()
