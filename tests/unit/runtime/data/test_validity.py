"""Invalid rows: what counts as one, what is dropped, and when it is too much."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from mainspring_runtime.errors import PermanentError
from tests.unit.runtime.data.preparing import Workshop, two_classes


@pytest.mark.parametrize(
    ("column", "values", "offence", "kept"),
    [
        ({"type": "Float", "minimum": 0}, [-0.1, 0.0, 1.0], "x: 20 rows below the minimum 0", {0.0, 1.0}),
        ({"type": "Float", "maximum": 0.5}, [0.5, 0.6, None], "x: 20 rows above the maximum 0.5", {0.5, None}),
        ({"type": "Integer", "maximum": 9}, [9, 10, 3], "x: 20 rows above the maximum 9", {9, 3}),
        ({"type": "Float", "nullable": False}, [1.0, None, 2.0], "x: 20 rows missing", {1.0, 2.0}),
        ({"type": "Float", "nullable": False}, [1.0, float("nan"), 2.0], "x: 20 rows missing", {1.0, 2.0}),
        (
            {"type": "Category", "allowed": ["a", "b"]},
            ["a", "b", "c"],
            "x: 20 rows not among the allowed categories",
            {"a", "b"},
        ),
        (
            {"type": "Category", "allowed": ["1", "2"]},
            [1.0, 2.0, 3.0],
            "x: 20 rows not among the allowed categories",
            {"1", "2"},
        ),
        ({"type": "Category", "nullable": False}, ["a", "", "b"], "x: 20 rows missing", {"a", "b"}),
        ({"type": "Integer"}, [1.0, 1.5, 2.0], "x: 20 rows not a whole number of 64 bits", {1, 2}),
        ({"type": "Integer"}, ["1", "1.5", "2.0"], "x: 20 rows not a whole number of 64 bits", {1, 2}),
        ({"type": "Float"}, ["1", "one", "1e3"], "x: 20 rows not a number", {1.0, 1000.0}),
        ({"type": "Float"}, [1.0, float("inf"), 2.0], "x: 20 rows not finite", {1.0, 2.0}),
        ({"type": "Boolean"}, ["yes", "maybe", "0"], "x: 20 rows not true or false", {True, False}),
        ({"type": "Boolean"}, [1, 2, 0], "x: 20 rows not true or false", {True, False}),
        (
            {"type": "Timestamp"},
            ["2024-01-01", "soon", ""],
            "x: 20 rows not an ISO 8601 time",
            {datetime(2024, 1, 1, tzinfo=UTC), None},
        ),
    ],
)
def test_rows_that_break_a_column_are_dropped_and_counted(
    workshop: Workshop, column: dict[str, Any], values: list[Any], offence: str, kept: set[Any]
) -> None:
    rows = {"x": values * 20, "z": [float(number) for number in range(60)], "y": [0, 1, 1, 0] * 15}
    spec = {"columns": [{"name": "x", **column}], "features": {"include": ["z"]}}
    with pytest.raises(PermanentError) as caught:
        workshop.prepare_rows(rows, spec)
    assert (caught.value.reason, caught.value.details) == ("InvalidRows", (offence,))
    assert "20 of 60 rows are invalid" in caught.value.message
    made = workshop.prepare_rows(rows, {**spec, "maxInvalidFraction": 0.34})
    assert (made.report.invalid_rows, made.report.rows) == (20, 40)
    assert set(made.values("x")) == kept


def test_times_that_no_calendar_has_are_invalid(workshop: Workshop) -> None:
    microseconds = pa.array([0, 10**18, None] * 10, pa.int64()).cast(pa.timestamp("us"))
    uri = workshop.parquet(pa.table({"at": microseconds, "y": [0, 1, 1, 0, 1] * 6}))
    with pytest.raises(PermanentError) as caught:
        workshop.prepare({"source": {"uri": uri}, "target": "y"})
    assert caught.value.details == ("at: 10 rows outside the years 1 to 9999",)
    made = workshop.prepare({"source": {"uri": uri}, "target": "y", "maxInvalidFraction": 0.5})
    assert set(made.values("at")) == {datetime(1970, 1, 1, tzinfo=UTC), None}


def test_the_worst_columns_are_named_first(workshop: Workshop) -> None:
    rows = two_classes(100)
    spec = {"columns": [{"name": "x", "type": "Float", "maximum": 10}, {"name": "n", "type": "Integer", "maximum": 0}]}
    with pytest.raises(PermanentError) as caught:
        workshop.prepare_rows(rows, spec)
    assert caught.value.details == ("n: 80 rows above the maximum 0", "x: 29 rows above the maximum 10")


def test_a_fraction_of_invalid_rows_is_allowed_up_to_the_limit(workshop: Workshop) -> None:
    spec = {"columns": [{"name": "n", "type": "Integer", "maximum": 3}]}
    assert workshop.prepare_rows(two_classes(100), {**spec, "maxInvalidFraction": 0.2}).report.invalid_rows == 20
    with pytest.raises(PermanentError, match=r"more than spec\.maxInvalidFraction 0\.19 allows"):
        workshop.prepare_rows(two_classes(100), {**spec, "maxInvalidFraction": 0.19})


def test_all_rows_invalid_is_no_rows(workshop: Workshop) -> None:
    spec = {"columns": [{"name": "n", "type": "Integer", "minimum": 50}], "maxInvalidFraction": 1.0}
    with pytest.raises(PermanentError, match="all 30 rows are invalid") as caught:
        workshop.prepare_rows(two_classes(30), spec)
    assert caught.value.reason == "NoRows"


@pytest.mark.parametrize("role", ["key", "timestamp", "weight"])
def test_rows_without_key_timestamp_or_weight_are_invalid(workshop: Workshop, role: str) -> None:
    rows = two_classes(40) | {
        "key": pa.array([None, *range(39)]),
        "timestamp": pa.array([None, *(datetime(2026, 1, 1, tzinfo=UTC),) * 39]),
        "weight": pa.array([None, *(1.0,) * 39]),
    }
    columns = {name: values for name, values in rows.items() if name not in {"key", "timestamp", "weight"} - {role}}
    uri = workshop.parquet(pa.table(columns))
    with pytest.raises(PermanentError, match=f"{role}: 1 rows missing") as caught:
        workshop.prepare({"source": {"uri": uri}, "target": "y", role: role})
    assert caught.value.reason == "InvalidRows"


def test_negative_weights_are_invalid(workshop: Workshop) -> None:
    rows = two_classes(40) | {"w": [-1.0] + [1.0] * 39}
    with pytest.raises(PermanentError, match="w: 1 rows below 0"):
        workshop.prepare_rows(rows, {"weight": "w"})


def test_missing_values_of_undeclared_columns_are_not_invalid(workshop: Workshop) -> None:
    rows = two_classes(40)
    rows["x"][:10] = [None] * 10
    rows["c"][:5] = [""] * 5
    made = workshop.prepare_rows(rows)
    assert (made.report.invalid_rows, made.column("x").missing, made.column("c").missing) == (0, 10, 5)
    assert (made.column("x").nullable, made.column("c").nullable, made.column("n").nullable) == (True, True, False)
