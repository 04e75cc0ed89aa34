from __future__ import annotations

from typing import Any

import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression

from mainspring.api.v1alpha1.dataset import Task
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.train import estimators

FOREST = "sklearn.ensemble.RandomForestClassifier"


def refused(path: str, task: Task = Task.CLASSIFICATION, **params: Any) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        estimators.build(path, params, task, 0)
    return raised.value


def test_an_estimator_is_built_with_its_parameters_and_the_seed() -> None:
    forest = estimators.build(FOREST, {"n_estimators": 3}, Task.CLASSIFICATION, 42)
    assert isinstance(forest, RandomForestClassifier)
    assert (forest.n_estimators, forest.random_state) == (3, 42)


def test_a_random_state_of_the_user_is_kept() -> None:
    assert estimators.build(FOREST, {"random_state": 1}, Task.CLASSIFICATION, 42).random_state == 1


def test_a_misspelt_class_is_answered_with_the_closest_one() -> None:
    error = refused("sklearn.ensemble.RandomForrestClassifier")
    assert error.reason == "UnknownEstimator"
    assert f"did you mean {FOREST}?" in error.message
    assert FOREST in error.details


def test_a_package_that_is_not_installed_is_named() -> None:
    error = refused("nowhere.models.Wonder")
    assert "spec.estimator.class: nowhere.models.Wonder cannot be imported" in error.message
    assert "spec.image" in error.message


@pytest.mark.parametrize(
    "path", ["subprocess.Popen", "sklearn.metrics.accuracy_score", "sklearn.preprocessing.StandardScaler"]
)
def test_what_is_no_estimator_is_refused_before_anything_of_it_runs(path: str) -> None:
    assert "is not a scikit-learn compatible estimator" in refused(path).message


@pytest.mark.parametrize(
    ("path", "task", "wanted"),
    [
        ("sklearn.linear_model.Ridge", Task.CLASSIFICATION, "is not a classifier"),
        (FOREST, Task.REGRESSION, "is not a regressor"),
        ("sklearn.cluster.KMeans", Task.CLASSIFICATION, "is not a classifier"),
    ],
)
def test_an_estimator_for_another_task_is_refused(path: str, task: Task, wanted: str) -> None:
    assert wanted in refused(path, task).message


def test_an_unknown_parameter_is_answered_with_the_closest_and_all_valid_ones() -> None:
    error = refused(FOREST, n_estimator=5)
    assert error.reason == "InvalidParameters"
    assert (
        "spec.estimator.params: sklearn.ensemble.RandomForestClassifier has no parameter 'n_estimator'; did you mean 'n_estimators'?"
        in error.message
    )
    assert "max_depth" in error.message
    assert error.details == ("n_estimator",)


def test_parameters_of_nested_estimators_are_set_by_path() -> None:
    bagging = estimators.build("sklearn.calibration.CalibratedClassifierCV", {"cv": 3}, Task.CLASSIFICATION, 0)
    assert bagging.cv == 3
    assert "has no parameter 'estimator__C'" in refused("sklearn.ensemble.BaggingClassifier", estimator__C=1).message


def test_a_required_parameter_that_is_missing_is_named() -> None:
    assert "'estimator'" in refused("sklearn.multiclass.OneVsRestClassifier").message


@pytest.mark.parametrize(
    ("estimator", "tree"),
    [
        (RandomForestClassifier(), True),
        (HistGradientBoostingClassifier(), True),
        (AdaBoostClassifier(), True),
        (BaggingClassifier(LogisticRegression()), False),
        (LogisticRegression(), False),
    ],
)
def test_trees_are_recognised(estimator: Any, tree: bool) -> None:
    assert estimators.is_tree(estimator) is tree


def test_only_histogram_boosting_keeps_missing_numbers() -> None:
    assert estimators.handles_missing(HistGradientBoostingClassifier())
    assert not estimators.handles_missing(RandomForestClassifier())
