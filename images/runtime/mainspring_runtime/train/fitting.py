"""Fit a pipeline, and learn from the training rows alone how it behaves on rows it has not seen.

Out-of-fold predictions (5 folds within the training rows) stand in for unseen rows: for the decision threshold when
there are no validation rows, and as the reference for drift of predictions, since a model's predictions on its own
training rows differ from all others. Test rows never come here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import labels
from mainspring_runtime.model.encoding import Array
from mainspring_runtime.train.estimators import invalid_parameters

FOLDS = 5
MAX_WARNINGS = 5
# What estimators raise for input that does not suit them; the same input will do so again.
FIT_ERRORS = (
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    NotImplementedError,
    np.linalg.LinAlgError,
)


@dataclass(frozen=True)
class TrainingData:
    """`table`: what the pipeline takes, a matrix or a data frame of N rows; `target` [N]; `weight` [N] or None."""

    table: Any
    target: Array
    weight: Array | None = None

    def take(self, index: Array) -> TrainingData:
        table = self.table.iloc[index] if hasattr(self.table, "iloc") else self.table[index]
        return TrainingData(table, self.target[index], None if self.weight is None else self.weight[index])


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for each training row by a model that was not fitted on it.

    `scores`: probabilities [N, K] or decision values; None when the estimator has neither. `values`: predicted values [N]
    of a regression, None for classes.
    """

    scores: Array | None
    values: Array | None


def assemble(transformer: Any | None, estimator: Any, calibrate: bool, seed: int) -> Any:
    """The unfitted pipeline. Calibration keeps one estimator and fits a sigmoid to its out-of-fold scores (Platt, 1999)."""
    if calibrate:
        estimator = CalibratedClassifierCV(estimator, method="sigmoid", cv=folds(seed, classes=True), ensemble=False)
    steps = [("preprocessing", transformer)] if transformer is not None else []
    return Pipeline([*steps, ("estimator", estimator)])


def folds(seed: int, *, classes: bool, count: int = FOLDS) -> Any:
    kind = StratifiedKFold if classes else KFold
    return kind(n_splits=count, shuffle=True, random_state=seed)


def require_weights(estimator: Any, column: str) -> None:
    """Raise `PermanentError("WeightsNotSupported")` if the estimator cannot weigh rows."""
    if not has_fit_parameter(estimator, "sample_weight"):
        message = f"{type(estimator).__name__} cannot use sample weights; choose another estimator or remove spec.weight ({column}) from the Dataset"
        raise PermanentError("WeightsNotSupported", message)


def fit(pipeline: Any, data: TrainingData) -> tuple[str, ...]:
    """Fit in place; returns what the estimator warned about. Raises `PermanentError` with what it refused."""
    weights = {} if data.weight is None else {"estimator__sample_weight": data.weight}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            pipeline.fit(data.table, data.target, **weights)
        except FIT_ERRORS as error:
            raise _refused(pipeline, error) from error
    texts = dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)
    return tuple(texts)[:MAX_WARNINGS]


def scores_of(pipeline: Any) -> str | None:
    """The method that gives class scores."""
    return next((name for name in ("predict_proba", "decision_function") if hasattr(pipeline, name)), None)


def out_of_fold(
    pipeline: Any, data: TrainingData, scores: str | None, seed: int, step: Callable[[int], None]
) -> OutOfFold | None:
    """None when a class has fewer rows than two. `step` is told the number of finished folds."""
    classes = data.target.dtype.kind != "f"
    rarest = min(np.unique(data.target, return_counts=True)[1]) if classes else len(data.target)
    if rarest < 2:
        return None
    parts: list[tuple[Array, Array]] = []
    splitter = folds(seed, classes=classes, count=min(FOLDS, int(rarest)))
    for number, (kept, held) in enumerate(splitter.split(data.target, data.target if classes else None)):
        model = clone(pipeline)
        fit(model, data.take(kept))
        parts.append((held, _predict(model, scores or "predict", data.take(held).table)))
        step(number + 1)
    joined = _in_order(parts)
    if not classes:
        return OutOfFold(None, joined.astype(np.float64).reshape(-1))
    return OutOfFold(None if scores is None else joined.astype(np.float64), None)


def tuned_threshold(probability: Array, positive: Array) -> float:
    """The threshold with the highest f1; `probability` [N] of the positive class, `positive` [N] whether it was one.

    Halfway between two neighbouring probabilities, and of equally good ones the nearest to 0.5.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(positive[order])
    chosen = np.arange(1, len(ranked) + 1)
    f1 = 2 * hits / (chosen + positive.sum())
    cuts = np.flatnonzero(ranked[:-1] - ranked[1:] > 2 * labels.TIE)
    if len(cuts) == 0:
        return labels.DEFAULT_THRESHOLD
    thresholds = (ranked[cuts] + ranked[cuts + 1]) / 2
    best = thresholds[np.isclose(f1[cuts], f1[cuts].max(), rtol=0, atol=1e-12)]
    return float(best[np.argmin(np.abs(best - labels.DEFAULT_THRESHOLD))])


def _predict(model: Any, method: str, table: Any) -> Array:
    try:
        return np.asarray(getattr(model, method)(table))
    except FIT_ERRORS as error:
        raise _refused(model, error) from error


def _in_order(parts: list[tuple[Array, Array]]) -> Array:
    index = np.concatenate([held for held, _ in parts])
    return np.concatenate([values for _, values in parts])[np.argsort(index)]


def _refused(pipeline: Any, error: Exception) -> PermanentError:
    name = type(pipeline.steps[-1][1]).__name__
    # scikit-learn's own check of parameters; the class is public only by its name.
    if type(error).__name__ == "InvalidParameterError":
        return invalid_parameters(f"spec.estimator.params: {error}")
    return PermanentError("TrainingFailed", f"{name} refused the rows of the Dataset: {type(error).__name__}: {error}")
