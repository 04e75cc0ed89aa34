from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainspring.api.contract import TrainReport
from mainspring_runtime.prepared import DatasetColumn, Rows, read_dataset
from mainspring_runtime.train import profile
from mainspring_runtime.train.profile import Scored, Watched
from tests.unit.runtime.train import tasks


@pytest.fixture(scope="module")
def document(logistic: TrainReport) -> Any:
    return tasks.read_json(tasks.directory_of(logistic), "profile.json")


def feature(document: Any, name: str) -> Any:
    return next(item for item in document["features"] if item["name"] == name)


def test_every_row_is_in_a_bin_or_missing(document: Any) -> None:
    for item in document["features"]:
        for reference, rows in document["rows"].items():
            assert sum(item["counts"][reference]) + item["missing"][reference] == rows, item["name"]


def test_bins_hold_about_equally_many_training_rows(document: Any) -> None:
    counts = feature(document, "amount")["counts"]["train"]
    assert len(counts) == profile.FEATURE_BINS
    assert max(counts) - min(counts) <= 5


def test_counts_are_those_of_the_edges(document: Any, mixed: Path) -> None:
    values = read_dataset(mixed).rows("train").columns["amount"]
    item = feature(document, "amount")
    bins = np.searchsorted(item["edges"], values[~np.isnan(values)], side="right")
    assert np.bincount(bins).tolist() == item["counts"]["train"]
    assert item["missing"]["train"] == np.isnan(values).sum()


def test_few_values_have_a_bin_each(document: Any) -> None:
    assert len(feature(document, "visits")["counts"]["train"]) == 9


def test_categories_beyond_the_listed_ones_share_the_last_bin(document: Any) -> None:
    item = feature(document, "city")
    assert len(item["categories"]) == profile.MAX_CATEGORIES
    assert len(item["counts"]["train"]) == profile.MAX_CATEGORIES + 1
    assert item["counts"]["train"][-1] > 0
    assert item["unseen"]["train"] == 0


def test_the_newest_rows_are_a_reference_of_their_own(document: Any) -> None:
    assert document["rows"] == {"train": 960, "newest": 1200}
    assert feature(document, "epoch")["outOfRange"]["train"] == 0


def test_only_the_newest_rows_of_all_splits_are_taken() -> None:
    at = np.array(["2024-01-01", "2024-01-03", "NaT"], dtype="datetime64[us]")
    train = Scored(Rows({"x": np.array([1.0, 3.0, 9.0])}, np.zeros(3), timestamp=at), np.array([0.1, 0.3, 0.9]))
    test = Scored(Rows({"x": np.array([2.0])}, np.zeros(1), timestamp=at[:1] + np.timedelta64(1, "D")), np.array([0.2]))
    found = profile.newest([train, test], count=2)
    assert found is not None
    assert found.prediction is not None
    assert sorted(found.rows.columns["x"]) == [2.0, 3.0]
    assert sorted(found.prediction) == [0.2, 0.3]


def test_without_a_timestamp_there_is_no_newest_reference() -> None:
    assert profile.newest([Scored(Rows({"x": np.zeros(3)}, np.zeros(3)), None)]) is None


def test_values_and_categories_outside_of_the_training_rows_are_counted() -> None:
    day = np.array(["2024-01-01"], dtype="datetime64[us]")
    train = Rows(
        {"x": np.array([1.0, 2.0]), "c": np.array(["a", "b"], dtype=object)}, np.zeros(2), timestamp=day.repeat(2)
    )
    test = Rows({"x": np.array([5.0]), "c": np.array(["z"], dtype=object)}, np.zeros(1), timestamp=day)
    columns = [DatasetColumn("x", "Float", "Feature", True), DatasetColumn("c", "Category", "Feature", True)]
    number, category = profile.build(columns, Scored(train, None), [Scored(test, None)], None)["features"]
    assert (number["outOfRange"], category["unseen"]) == ({"train": 0, "newest": 1}, {"train": 0, "newest": 1})


def test_predictions_come_from_folds_and_the_threshold_is_an_edge(document: Any) -> None:
    found = document["prediction"]
    assert (found["output"], found["class"], found["source"]) == ("predict_proba", "yes", "OutOfFold")
    assert found["threshold"] in found["edges"]
    assert len(found["counts"]["train"]) == profile.PREDICTION_BINS
    assert sum(found["counts"]["train"]) == 960
    assert sum(found["counts"]["newest"]) == 1200


def test_calibration_bins_add_up_to_the_positives(document: Any, mixed: Path) -> None:
    calibration = document["prediction"]["calibration"]
    assert sum(calibration["positives"]) == (read_dataset(mixed).rows("train").target == "yes").sum()
    assert sum(calibration["predicted"]) == pytest.approx(sum(calibration["positives"]), rel=0.05)


def test_labels_are_watched_when_there_is_no_single_probability(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, "sklearn.naive_bayes.GaussianNB")
    found = tasks.read_json(tasks.directory_of(report), "profile.json")["prediction"]
    assert found["classes"] == ["setosa", "versicolor", "virginica"]
    assert sum(found["counts"]["train"]) == 120


def test_predicted_values_are_watched_in_a_regression(tmp_path: Path, sugar: Path) -> None:
    report = tasks.train(tmp_path, sugar, "sklearn.linear_model.Ridge")
    found = tasks.read_json(tasks.directory_of(report), "profile.json")["prediction"]
    assert found["output"] == "predict"
    assert sum(found["counts"]["train"]) == 354
    assert len(found["edges"]) == profile.PREDICTION_BINS - 1


def test_out_of_fold_predictions_are_no_training_predictions(tmp_path: Path, mixed: Path) -> None:
    """A forest is nearly certain about the rows it was fitted on."""
    report = tasks.train(tmp_path, mixed, "sklearn.ensemble.RandomForestClassifier", params={"n_estimators": 20})
    found = tasks.read_json(tasks.directory_of(report), "profile.json")["prediction"]
    counts = np.array(found["calibration"]["positives"]), np.array(found["counts"]["train"])
    top = np.array([0.0, *found["edges"]]) > 0.9
    assert (counts[0][top].sum() / max(counts[1][top].sum(), 1)) < 0.95


def test_edges_of_a_constant_prediction_still_have_the_threshold() -> None:
    assert profile.prediction_edges(np.full(50, 0.4), 0.5).tolist() == [0.5]
    assert Watched("predict").positive is None
