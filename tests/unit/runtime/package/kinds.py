"""One row for each kind of estimator: how it is made, what it takes, and what it must answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas
import xgboost
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.covariance import EllipticEnvelope
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from tests.unit.runtime.package import packing

Outputs = dict[str, tuple[str, tuple[int, ...]]]

SAMPLE = ("FP64", (-1,))


@dataclass(frozen=True)
class Kind:
    """`matrix`: fitted on an array without names; `outputs` by name: datatype and shape; the first is the default."""

    name: str
    make: Callable[[], Any]
    rows: Callable[[], pandas.DataFrame]
    target: Callable[[], Any] | None
    task: str
    outputs: Outputs
    path: str = "sklearn"
    matrix: bool = False

    def form(self, rows: pandas.DataFrame) -> Any:
        """The rows as the estimator takes them."""
        if list(rows) == ["review"]:
            return rows["review"]
        return rows.to_numpy() if self.matrix else rows

    def fitted(self) -> Any:
        return self.make().fit(self.form(self.rows()), None if self.target is None else self.target())


def labels_and_probabilities(classes: int, datatype: str = "BYTES") -> Outputs:
    return {"predict": (datatype, (-1,)), "predict_proba": ("FP64", (-1, classes))}


def columns(strict: bool = False) -> ColumnTransformer:
    unseen = "error" if strict else "ignore"
    numeric = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("numbers", numeric, ["a", "b", "visits"]), ("words", OneHotEncoder(handle_unknown=unseen), ["stage"])]
    )


def piped(estimator: Any, strict: bool = False) -> Pipeline:
    return make_pipeline(columns(strict), estimator)


def two_values() -> Any:
    return np.stack([packing.values(), -packing.values()], axis=1)


def two_labels() -> Any:
    return np.stack([packing.labels(), packing.grades()], axis=1)


def indicators() -> Any:
    return np.stack([packing.labels() == "yes", packing.grades() == "low"], axis=1).astype(int)


def numbered() -> Any:
    return (packing.labels() == "yes").astype(int)


LOGARITHMS: Outputs = {"predict_log_proba": ("FP64", (-1, 2))}
DECISION: Outputs = {"decision_function": SAMPLE}
ANOMALY: Outputs = {"predict": ("INT64", (-1,)), "decision_function": SAMPLE, "score_samples": SAMPLE}
CLUSTERS: Outputs = {"predict": ("INT64", (-1,)), "transform": ("FP64", (-1, 3))}
VALUES: Outputs = {"predict": ("FP64", (-1,))}
TWO_VALUES: Outputs = {"predict": ("FP64", (-1, 2))}
BY_TARGET: Outputs = {
    "predict": ("BYTES", (-1, 2)),
    "predict_proba_0": ("FP64", (-1, 2)),
    "predict_proba_1": ("FP64", (-1, 3)),
}
C, R = "Classification", "Regression"
P = packing

KINDS = (
    # Classifiers
    Kind("logistic", LogisticRegression, P.numbers, P.labels, C,
         labels_and_probabilities(2) | LOGARITHMS | DECISION, "onnx"),
    Kind("forest", lambda: RandomForestClassifier(8, random_state=0), P.numbers, P.labels, C,
         labels_and_probabilities(2) | LOGARITHMS, "onnx", matrix=True),
    Kind("boosting", lambda: HistGradientBoostingClassifier(max_iter=5), P.numbers, P.grades, C,
         labels_and_probabilities(3) | {"decision_function": ("FP64", (-1, 3))}, "onnx"),
    Kind("support vectors", SVC, P.numbers, P.grades, C,
         {"predict": ("BYTES", (-1,)), "decision_function": ("FP64", (-1, 3))}),
    Kind("linear support vectors", LinearSVC, P.numbers, P.labels, C, {"predict": ("BYTES", (-1,))} | DECISION, "onnx"),
    Kind("numbered classes", LogisticRegression, P.numbers, numbered, C,
         labels_and_probabilities(2, "INT64") | LOGARITHMS | DECISION, "onnx"),
    Kind("xgboost", lambda: xgboost.XGBClassifier(n_estimators=5), P.numbers, numbered, C,
         labels_and_probabilities(2, "INT64"), "onnx"),
    Kind("lightgbm", lambda: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1), P.numbers, P.labels, C,
         labels_and_probabilities(2) | DECISION, "onnx"),
    # Pipelines with strings
    Kind("columns by name", lambda: piped(LogisticRegression()), P.mixed, P.labels, C,
         labels_and_probabilities(2) | LOGARITHMS | DECISION, "onnx"),
    Kind("forest over columns by name", lambda: piped(RandomForestClassifier(5, random_state=0)), P.mixed, P.labels, C,
         labels_and_probabilities(2) | LOGARITHMS, "onnx"),
    Kind("strict categories", lambda: piped(Ridge(), strict=True), P.mixed, P.values, R, VALUES),
    Kind("text classifier", lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()), P.texts, P.labels, C,
         labels_and_probabilities(2) | LOGARITHMS | DECISION),
    # Several targets
    Kind("multi-output forest", lambda: RandomForestClassifier(4, random_state=0), P.numbers, two_labels, C,
         BY_TARGET | {"predict_log_proba_0": ("FP64", (-1, 2)), "predict_log_proba_1": ("FP64", (-1, 3))}),
    Kind("one classifier a target", lambda: MultiOutputClassifier(LogisticRegression()), P.numbers, two_labels, C,
         BY_TARGET),
    Kind("multi-label neighbours", KNeighborsClassifier, P.numbers, indicators, C,
         {"predict": ("INT64", (-1, 2)), "predict_proba_0": ("FP64", (-1, 2)), "predict_proba_1": ("FP64", (-1, 2))}),
    Kind("multi-label network", lambda: MLPClassifier((3,), max_iter=3000, tol=1e-2, random_state=0), P.numbers,
         indicators, C, {"predict": ("INT64", (-1, 2)), "predict_proba": ("FP64", (-1, 2))} | LOGARITHMS),
    # Regressors
    Kind("ridge", Ridge, P.numbers, P.values, R, VALUES, "onnx"),
    Kind("boosted values", lambda: HistGradientBoostingRegressor(max_iter=5), P.numbers, P.values, R, VALUES, "onnx"),
    Kind("xgboost values", lambda: xgboost.XGBRegressor(n_estimators=5), P.numbers, P.values, R, VALUES, "onnx", matrix=True),
    Kind("lightgbm values", lambda: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), P.numbers, P.values, R, VALUES,
         "onnx", matrix=True),
    Kind("several values", Ridge, P.numbers, two_values, R, TWO_VALUES),
    Kind("forest of several values", lambda: RandomForestRegressor(4, random_state=0), P.numbers, two_values, R,
         TWO_VALUES, matrix=True),
    Kind("partial least squares", PLSRegression, P.numbers, two_values, R,
         TWO_VALUES | {"transform": ("FP64", (-1, 2))}),
    # Clusterers
    Kind("k-means", lambda: KMeans(3, n_init=2, random_state=0), P.numbers, None, "Clustering", CLUSTERS),
    Kind("k-means of a matrix", lambda: MiniBatchKMeans(3, n_init=2, random_state=0), P.numbers, None, "Clustering",
         CLUSTERS, matrix=True),
    Kind("scaled k-means", lambda: make_pipeline(StandardScaler(), KMeans(3, n_init=2, random_state=0)), P.numbers, None,
         "Clustering", CLUSTERS),
    Kind("mixture", lambda: GaussianMixture(2, random_state=0), P.numbers, None, "Clustering",
         labels_and_probabilities(2, "INT64") | {"score_samples": SAMPLE}),
    # Transformers
    Kind("components", lambda: PCA(2), P.numbers, None, "Transformation",
         {"transform": ("FP64", (-1, 2)), "score_samples": SAMPLE}),
    Kind("columns to features", columns, P.mixed, None, "Transformation", {"transform": ("FP64", (-1, 6))}),
    Kind("text to sparse features", TfidfVectorizer, P.texts, None, "Transformation", {"transform": ("FP64", (-1, 6))}),
    Kind("sparse one-hot", OneHotEncoder, lambda: P.mixed()[["stage", "visits"]], None, "Transformation",
         {"transform": ("FP64", (-1, 9))}),
    Kind("texts to texts", lambda: SimpleImputer(strategy="most_frequent"), lambda: P.mixed()[["stage"]], None,
         "Transformation", {"transform": ("BYTES", (-1, 1))}),
    Kind("texts to whole numbers", lambda: OrdinalEncoder(dtype=np.int64), lambda: P.mixed()[["stage"]], None,
         "Transformation", {"transform": ("INT64", (-1, 1))}),
    Kind("density", KernelDensity, P.numbers, None, "DensityEstimation", {"score_samples": SAMPLE}),
    # Anomaly detectors
    Kind("isolation forest", lambda: IsolationForest(n_estimators=8, random_state=0), P.numbers, None,
         "AnomalyDetection", ANOMALY),
    Kind("one-class support vectors", OneClassSVM, P.numbers, None, "AnomalyDetection", ANOMALY, matrix=True),
    Kind("elliptic envelope", lambda: EllipticEnvelope(random_state=0), P.numbers, None, "AnomalyDetection", ANOMALY),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
