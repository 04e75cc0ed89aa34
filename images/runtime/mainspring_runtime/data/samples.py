"""The small data sets that scikit-learn ships, as clean tables.

Columns are snake_case in the original units; docs/guides/samples.md lists them. None has a row identifier, because the
originals have none: a made-up one would be a feature until somebody says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn import datasets


@dataclass(frozen=True)
class Sample:
    """How to load a data set, the name of its target column, and the labels of its classes (None: kept as numbers)."""

    load: Callable[[], Any]
    target: str
    labels: tuple[str, ...] | None = None


SAMPLES = {
    # scikit-learn's 0 is malignant; the original file at UCI says M and B.
    "breast_cancer": Sample(datasets.load_breast_cancer, "diagnosis", ("M", "B")),
    "diabetes": Sample(partial(datasets.load_diabetes, scaled=False), "progression"),
    "iris": Sample(datasets.load_iris, "species", ("setosa", "versicolor", "virginica")),
    "wine": Sample(datasets.load_wine, "cultivar", ("class_0", "class_1", "class_2")),
    "digits": Sample(datasets.load_digits, "digit"),
}


def table(name: str) -> pa.Table:
    """The data set as a table: its features in the original order, then the target."""
    sample = SAMPLES[name]
    bunch = sample.load()
    columns = {snake_case(feature): bunch.data[:, index] for index, feature in enumerate(bunch.feature_names)}
    return pa.table({**columns, sample.target: _target(bunch.target, sample.labels)})


def snake_case(name: str) -> str:
    """`mean radius` → mean_radius, `sepal length (cm)` → sepal_length_cm."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _target(values: Any, labels: Sequence[str] | None) -> Any:
    return values if labels is None else np.array(labels)[values]
