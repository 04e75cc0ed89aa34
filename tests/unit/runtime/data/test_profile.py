"""The profile agrees with numpy, hides private columns, and stays exact where it says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mainspring_runtime.data import profile
from mainspring_runtime.errors import PermanentError
from tests.unit.runtime.data.preparing import Workshop, two_classes


def test_numbers_agree_with_numpy(workshop: Workshop) -> None:
    values = np.random.default_rng(2).normal(5, 3, 1000)
    columns: dict[str, list[Any]] = {
        "v": [None if number % 20 == 0 else value for number, value in enumerate(values.tolist())],
        "y": [0, 1] * 500,
    }
    made = workshop.prepare_rows(columns)
    present = np.array([value for value in columns["v"] if value is not None])
    column, entry = made.column("v"), made.profile()["v"]
    assert (column.missing, column.distinct, column.nullable) == (50, 950, True)
    assert (column.minimum, column.maximum) == (present.min(), present.max())
    assert column.mean == pytest.approx(present.mean(), rel=1e-12)
    assert column.median == np.median(present)
    assert entry["standardDeviation"] == pytest.approx(present.std(), rel=1e-10)
    assert list(entry["quantiles"]) == ["0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"]
    assert list(entry["quantiles"].values()) == np.quantile(present, profile.QUANTILES).tolist()


def test_counts_are_over_all_rows_of_the_version(workshop: Workshop) -> None:
    columns = two_classes(400)
    columns["y"][0] = None
    made = workshop.prepare_rows(columns, {"split": {"test": 0.5, "validation": 0.2}})
    assert made.column("id").distinct == 399
    assert made.column("y").missing == 0
    assert made.column("n").mean == pytest.approx(np.mean([number % 5 for number in range(1, 400)]))


def test_categories_times_and_booleans(workshop: Workshop) -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(100)]
    made = workshop.prepare_rows(two_classes(100) | {"t": times, "b": [number < 25 for number in range(100)]})
    entries = made.profile()
    assert entries["c"]["top"] == [{"value": "red", "rows": 66}, {"value": "green", "rows": 34}]
    assert (entries["t"]["minimum"], entries["t"]["maximum"]) == ("2026-01-01T00:00:00Z", "2026-01-05T03:00:00Z")
    assert entries["b"]["mean"] == 0.25
    assert (made.column("t").minimum, made.column("b").mean) == (None, 0.25)


def test_distinct_values_are_exact_up_to_ten_thousand_and_estimated_beyond(workshop: Workshop) -> None:
    rows = 60_000
    made = workshop.prepare_rows(
        {"few": [n % 10_000 for n in range(rows)], "many": list(range(rows)), "y": [n % 2 for n in range(rows)]}
    )
    assert made.column("few").distinct == 10_000
    assert made.column("many").distinct == pytest.approx(rows, rel=0.04)


def test_quantiles_of_many_rows_come_from_a_sample(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "QUANTILE_ROWS", 2000)
    values = np.random.default_rng(3).exponential(1, 20_000)
    columns = {"v": values, "y": np.arange(20_000) % 2}
    first, again = (
        workshop.prepare({"source": {"uri": workshop.parquet(pa.table(columns))}, "target": "y"}) for _ in range(2)
    )
    entry = first.profile()["v"]
    assert entry["quantiles"] == again.profile()["v"]["quantiles"]
    assert entry["quantiles"]["0.5"] == pytest.approx(np.log(2), rel=0.1)
    assert entry["quantiles"]["0.5"] != np.median(values)
    assert entry["mean"] == pytest.approx(values.mean(), rel=1e-12)


def test_keys_and_sensitive_columns_show_counts_only(workshop: Workshop) -> None:
    columns = two_classes(100) | {"age": [20 + number % 50 for number in range(100)], "number": list(range(100))}
    made = workshop.prepare_rows(columns, {"key": "number", "sensitive": ["age", "c"]})
    for name, distinct in (("age", 50), ("number", 100)):
        column = made.column(name)
        assert (column.distinct, column.minimum, column.maximum, column.mean, column.median) == (
            distinct,
            None,
            None,
            None,
            None,
        )
    assert set(made.profile()["age"]) == set(made.profile()["c"]) == {"name", "type", "role", "missing", "distinct"}


def test_too_many_categories_are_refused(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "MAX_CATEGORIES", 60)
    spec = {"columns": [{"name": "id", "type": "Category"}]}
    with pytest.raises(
        PermanentError, match="'id' has 100 different values, more than 60; declare it as String"
    ) as caught:
        workshop.prepare_rows(two_classes(100), spec)
    assert caught.value.reason == "TooManyCategories"
