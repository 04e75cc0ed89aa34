"""Datasets and trained versions that many tests look at; made once, never changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.api.contract import TrainReport
from tests.unit.runtime.train import prepared_data, tasks


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of column, two classes, with a timestamp."""
    return prepared_data.mixed(tmp_path_factory.mktemp("mixed") / "data")


@pytest.fixture(scope="session")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same columns with a number to predict."""
    return prepared_data.mixed(tmp_path_factory.mktemp("costs") / "data", task="Regression")


@pytest.fixture(scope="session")
def tumours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_data.breast_cancer(tmp_path_factory.mktemp("tumours") / "data")


@pytest.fixture(scope="session")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_data.iris(tmp_path_factory.mktemp("flowers") / "data")


@pytest.fixture(scope="session")
def sugar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_data.diabetes(tmp_path_factory.mktemp("sugar") / "data")


@pytest.fixture(scope="session")
def logistic(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    """A logistic regression on mixed columns."""
    return tasks.train(tmp_path_factory.mktemp("logistic"), mixed, "sklearn.linear_model.LogisticRegression")
