from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.prepared import read_dataset
from tests.unit.runtime.train.prepared_data import write_dataset


def dataset(tmp_path: Path, target: tuple[str, list[Any]], **options: Any) -> Any:
    columns = {
        "x": ("Float", [float(index) for index in range(len(target[1]))]),
        "y": target,
        **options.pop("columns", {}),
    }
    return read_dataset(write_dataset(tmp_path / "data", columns, target="y", **options))


def test_columns_come_in_the_dtypes_of_the_wire(mixed: Path) -> None:
    rows = read_dataset(mixed).rows("train")
    kinds = {name: values.dtype.kind for name, values in rows.columns.items()}
    assert kinds == {
        "amount": "f",
        "visits": "f",
        "epoch": "i",
        "smoker": "f",
        "stage": "O",
        "city": "O",
        "admitted": "O",
    }
    assert set(rows.columns["smoker"][~np.isnan(rows.columns["smoker"])]) == {0.0, 1.0}
    assert "" in rows.columns["stage"]
    assert rows.columns["admitted"][0].endswith("Z")
    assert rows.timestamp is not None
    assert rows.timestamp.dtype == "datetime64[us]"


def test_key_timestamp_and_sensitive_columns_are_no_features(mixed: Path) -> None:
    names = {column.name for column in read_dataset(mixed).features}
    assert names.isdisjoint({"visit", "seen_at", "age_group", "outcome"})


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = dataset(tmp_path, ("Category", ["a", None, "b"] * 10)).rows("train")
    assert len(rows) + rows.unlabelled == 24
    assert set(rows.target) == {"a", "b"}


@pytest.mark.parametrize(
    ("kind", "values", "labels"),
    [("Boolean", [True, False] * 10, {0, 1}), ("Integer", [3, 4] * 10, {3, 4}), ("Float", [1.0, 2.0] * 10, {1, 2})],
)
def test_labels_that_are_numbers_become_whole_numbers(
    tmp_path: Path, kind: str, values: list[Any], labels: set[int]
) -> None:
    target = dataset(tmp_path, (kind, values)).rows("train").target
    assert target.dtype == np.int64
    assert set(target.tolist()) == labels


def test_a_target_with_fractions_is_no_class(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"the target 'y' has fractions.*Regression"):
        dataset(tmp_path, ("Float", [0.5, 1.5] * 10)).rows("train")


def test_a_text_target_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="the target 'y' is a Category, which task Regression cannot predict"):
        dataset(tmp_path, ("Category", ["a", "b"] * 10), task="Regression").rows("train")


def test_weights_must_be_there_and_not_negative(tmp_path: Path) -> None:
    found = dataset(tmp_path, ("Integer", [0, 1] * 10), columns={"w": ("Float", [1.0, -1.0] * 10)}, weight="w")
    with pytest.raises(PermanentError, match="the weight column 'w' has missing or negative values"):
        found.rows("train")


@pytest.mark.parametrize(
    ("given", "kind", "label"),
    [("true", "Boolean", 1), (False, "Boolean", 0), ("3", "Integer", 3), ("M", "Category", "M")],
)
def test_a_positive_class_is_read_in_the_type_of_the_target(tmp_path: Path, given: Any, kind: str, label: Any) -> None:
    values: dict[str, list[Any]] = {"Boolean": [True, False], "Integer": [3, 4], "Category": ["M", "B"]}
    assert dataset(tmp_path, (kind, values[kind] * 10)).label(given) == label


def test_a_directory_that_is_no_dataset_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        PermanentError, match=r"dataset\.json and columns\.json do not describe a prepared dataset"
    ) as raised:
        read_dataset(tmp_path)
    assert raised.value.reason == "InvalidDataset"
