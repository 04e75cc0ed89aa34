"""Which columns a prediction hangs on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mainspring.api.contract import TrainReport
from mainspring_runtime.train import importance
from tests.unit.runtime.train import tasks

Columns = dict[str, np.ndarray[Any, Any]]
ROWS = {name: np.random.default_rng(1).normal(size=2000) for name in ("strong", "weak", "idle")}


def by_value(columns: Columns) -> Any:
    return 3 * columns["strong"] + columns["weak"]


def by_label(columns: Columns) -> Any:
    return np.where(by_value(columns) > 0, "yes", "no").astype(object)


@pytest.mark.parametrize("predict", [by_value, by_label])
def test_the_stronger_a_column_the_greater(predict: Any) -> None:
    found = importance.by_column(predict, ROWS)
    assert found["strong"] > found["weak"] > found["idle"] == 0


def test_the_same_rows_give_the_same_figures() -> None:
    assert importance.by_column(by_value, ROWS) == importance.by_column(by_value, ROWS)


@pytest.mark.parametrize(("columns", "rows"), [(3, 500), (99, 200), (19_999, 1), (20_000, 0)])
def test_no_more_rows_are_predicted_than_the_budget_allows(columns: int, rows: int) -> None:
    asked: list[int] = []

    def predict(sample: Columns) -> Any:
        asked.append(len(sample["0"]))
        return sample["0"] * 1.0

    wide = {str(number): np.zeros(600) for number in range(columns)}
    found = importance.by_column(predict, wide)
    assert len(found) == (columns if rows else 0)
    assert set(asked) == ({rows} if rows else set())


def test_the_profile_says_it_of_every_feature(logistic: TrainReport) -> None:
    features = tasks.read_json(tasks.directory_of(logistic), "profile.json")["features"]
    found = {item["name"]: item["importance"] for item in features}
    assert max(found.values()) > 0
    assert min(found.values()) >= 0
