from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mainspring_runtime.prepared import DatasetColumn, Rows
from mainspring_runtime.train import synthetic

CASES: list[tuple[str, bool, Any, set[Any]]] = [
    ("Float", True, np.array([1.0, 2.0, np.nan]), {1.0, 2.0, 0.0, 3.0}),
    ("Integer", False, np.array([3, 5]), {3, 5, 1, 7}),
    ("Integer", True, np.array([3.0, np.nan]), {3.0}),
    ("Boolean", False, np.array([True, True]), {True, False}),
    ("Boolean", True, np.array([1.0, 1.0]), {0.0, 1.0}),
    ("Category", True, np.array(["a", ""], dtype=object), {"a", "", synthetic.UNSEEN_CATEGORY}),
    ("Category", False, np.array(["a", "b"], dtype=object), {"a", "b", synthetic.UNSEEN_CATEGORY}),
    (
        "Timestamp",
        True,
        np.array(["2024-01-01T00:00:00Z"], dtype=object),
        {"2024-01-01T00:00:00Z", "", *synthetic.EDGE_TIMES},
    ),
]


@pytest.mark.parametrize(("kind", "nullable", "values", "expected"), CASES)
def test_every_column_has_its_edges_and_keeps_its_dtype(
    kind: str, nullable: bool, values: Any, expected: set[Any]
) -> None:
    column = DatasetColumn("x", kind, "Feature", nullable)
    drawn = synthetic.draw([column], Rows({"x": values}, np.zeros(len(values))), 200, 0)["x"]
    assert drawn.dtype == values.dtype
    known = {value for value in drawn.tolist() if value == value}
    assert known == expected
    missing = drawn.dtype.kind == "f" and bool(np.isnan(drawn).any())
    assert missing == (nullable and drawn.dtype.kind == "f")


def test_columns_are_drawn_independently() -> None:
    """Two columns that are always equal in the data are not in what is drawn."""
    values = np.arange(50.0)
    columns = [DatasetColumn(name, "Float", "Feature", False) for name in ("a", "b")]
    drawn = synthetic.draw(columns, Rows({"a": values, "b": values}, values), 500, 0)
    assert abs(np.corrcoef(drawn["a"], drawn["b"])[0, 1]) < 0.2


def test_the_same_seed_draws_the_same_rows() -> None:
    column, rows = DatasetColumn("x", "Float", "Feature", True), Rows({"x": np.arange(9.0)}, np.zeros(9))
    first, second = (synthetic.draw([column], rows, 30, 5)["x"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_boundaries_are_inserted() -> None:
    column, rows = DatasetColumn("x", "Float", "Feature", False), Rows({"x": np.arange(9.0)}, np.zeros(9))
    drawn = synthetic.draw([column], rows, 400, 0, {"x": np.array([2.25])})["x"]
    assert 60 < np.count_nonzero(drawn == 2.25) < 140
