"""Versions of the flower model that a rollout should not take, made as a person would bring a model from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mainspring_runtime.package import packaging
from mainspring_runtime.package.packaging import Request
from tests.e2e import manifests

MANY = 1_500  # rows that each prediction is compared with


def other_inputs(root: Path) -> Path:
    """It asks for a column that no caller sends: each request is refused."""
    rows, species = _flowers()
    return _packaged(root, LogisticRegression(max_iter=500), rows.assign(colour=1.0), species)


def other_answers(root: Path) -> Path:
    """It was trained with the labels mixed up."""
    rows, species = _flowers()
    return _packaged(root, LogisticRegression(max_iter=500), rows, np.roll(species, 50))


def slow(root: Path) -> Path:
    """The same answers, but milliseconds for each."""
    rows, species = _flowers()
    drawn = np.random.default_rng(0).integers(0, len(rows), MANY)
    return _packaged(root, KNeighborsClassifier(algorithm="brute"), rows.iloc[drawn], species[drawn], rows.iloc[:150])


def _flowers() -> tuple[pandas.DataFrame, Any]:
    data = load_iris()
    return pandas.DataFrame(data.data, columns=list(manifests.FLOWERS)), data.target_names[data.target].astype(object)


def _packaged(
    root: Path, estimator: Any, rows: pandas.DataFrame, species: Any, example: pandas.DataFrame | None = None
) -> Path:
    root.mkdir()
    joblib.dump(estimator.fit(rows, species), root / "model.joblib")
    (rows if example is None else example).to_parquet(root / "rows.parquet")
    asked = Request(root / "model.joblib", root / "rows.parquet", allow_pickle=True)
    return packaging.make(asked, root / "work", 1).directory
