"""The closed table of metrics, each as a function of how often every row counts.

A metric is compiled for one set of predictions into a `Statistic`: row counts [B, N] in, B values out. With all counts
one it gives what `sklearn.metrics` gives (tested), and with counts drawn at random it gives a bootstrap, vectorised.
Which way is better is fixed with the enum `Metric`.

Two classes: precision, recall, f1, roc_auc, average_precision and brier_score speak about the positive class. More
classes: unweighted means over classes, one against the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from mainspring.api.v1alpha1.trainingrun import REGRESSION_METRICS, Metric
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.signature import CLASSIFICATION, REGRESSION

Array = npt.NDArray[Any]
Statistic = Callable[[Array], Array]

CALIBRATION_ROWS = 1000
CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Predictions:
    """N held-out rows with what a model said.

    Classification: `target` and `predicted` are class indexes; `probabilities` [N, K]; `scores` [N, K] rank rows by class
    (probabilities or decision values); `positive` is an index, None for more than two classes. Regression: float64 values.
    """

    target: Array
    predicted: Array
    classes: int = 0
    positive: int | None = None
    probabilities: Array | None = None
    scores: Array | None = None

    @property
    def task(self) -> str:
        return CLASSIFICATION if self.classes else REGRESSION

    def take(self, index: Array) -> Predictions:
        """The rows at these positions, or where this mask is true."""
        return replace(
            self,
            target=self.target[index],
            predicted=self.predicted[index],
            probabilities=None if self.probabilities is None else self.probabilities[index],
            scores=None if self.scores is None else self.scores[index],
        )

    def positives(self) -> tuple[int, ...]:
        """The classes over which one-against-the-rest metrics are averaged."""
        return (self.positive,) if self.positive is not None else tuple(range(self.classes))


def of_another_task(metric: Metric, task: str) -> str | None:
    """That the metric is for another task; None when it is not."""
    fits = (metric in REGRESSION_METRICS) == (task == REGRESSION)
    return None if fits else f"{metric} is not a metric for task: {task}"


def applicable(metric: Metric, predictions: Predictions) -> str | None:
    """Why the metric cannot be had from such predictions; None when it can."""
    if problem := of_another_task(metric, predictions.task):
        return problem
    if metric in NEED_PROBABILITIES and predictions.probabilities is None:
        return f"{metric} needs probabilities, which this estimator does not give (calibrate: true adds them)"
    if metric in NEED_SCORES and predictions.scores is None:
        return f"{metric} needs class scores, which this estimator does not give"
    return None


def default_metrics(predictions: Predictions) -> tuple[Metric, ...]:
    """The usual ones of the task, as far as the estimator allows."""
    candidates = REGRESSION_DEFAULTS if predictions.task == REGRESSION else CLASSIFICATION_DEFAULTS
    return tuple(metric for metric in candidates if applicable(metric, predictions) is None)


def default_primary(predictions: Predictions) -> Metric:
    """r2 for values; roc_auc for two classes with scores; accuracy else."""
    if predictions.task == REGRESSION:
        return Metric.R2
    ranks = predictions.positive is not None and predictions.scores is not None
    return Metric.ROC_AUC if ranks else Metric.ACCURACY


def require(metrics: Sequence[Metric], predictions: Predictions, field: str) -> None:
    """Raise `PermanentError("InvalidMetric")` naming the field of the spec if one of the metrics cannot be had."""
    problems = [problem for metric in metrics if (problem := applicable(metric, predictions))]
    if problems:
        possible = ", ".join(metric for metric in Metric if applicable(metric, predictions) is None)
        raise PermanentError("InvalidMetric", f"{field}: {problems[0]}; possible here: {possible}", problems)


def compile_metric(metric: Metric, predictions: Predictions) -> Statistic:
    """The metric of these predictions as a function of row counts [B, N]; NaN where it is undefined."""
    return _BUILDERS[metric](predictions)


def _mean(per_row: Array) -> Statistic:
    return lambda counts: np.asarray(counts @ per_row / counts.sum(axis=1))


def _accuracy(predictions: Predictions) -> Statistic:
    return _mean((predictions.predicted == predictions.target).astype(np.float64))


def _log_loss(predictions: Predictions) -> Statistic:
    probabilities = _given(predictions.probabilities)
    given = probabilities[np.arange(len(probabilities)), predictions.target] / probabilities.sum(axis=1)
    return _mean(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)))


def _brier(predictions: Predictions) -> Statistic:
    """Two classes: squared error of the positive class's probability. More: summed over classes (Brier, 1950)."""
    probabilities = _given(predictions.probabilities)
    squared = (probabilities - np.eye(predictions.classes)[predictions.target]) ** 2
    return _mean(squared[:, list(predictions.positives())].sum(axis=1))


@dataclass(frozen=True)
class ClassCounts:
    """Per class, [B] each: rows of the class, rows predicted as it, and both."""

    actual: Array
    predicted: Array
    correct: Array

    @property
    def recall(self) -> Array:
        return _ratio(self.correct, self.actual)

    @property
    def precision(self) -> Array:
        return _ratio(self.correct, self.predicted)

    @property
    def f1(self) -> Array:
        return _ratio(2 * self.correct, self.actual + self.predicted)


def _by_class(predictions: Predictions, name: str) -> Statistic:
    """The mean of a property of `ClassCounts` over classes; an undefined ratio counts as zero."""
    indicators = [
        (predictions.target == index, predictions.predicted == index)
        for index in predictions.positives()
        if predictions.positive is not None or np.any((predictions.target == index) | (predictions.predicted == index))
    ]

    def statistic(counts: Array) -> Array:
        values = [getattr(_count(counts, actual, predicted), name) for actual, predicted in indicators]
        return np.asarray(np.mean(np.nan_to_num(values, nan=0.0), axis=0))

    return statistic


def _balanced_accuracy(predictions: Predictions) -> Statistic:
    """Mean recall over the classes that occur."""
    indicators = [(predictions.target == k, predictions.predicted == k) for k in np.unique(predictions.target)]

    def statistic(counts: Array) -> Array:
        recalls = np.array([_count(counts, actual, predicted).recall for actual, predicted in indicators])
        occurs = ~np.isnan(recalls)
        return np.asarray(np.nan_to_num(recalls).sum(axis=0) / occurs.sum(axis=0))

    return statistic


def _count(counts: Array, actual: Array, predicted: Array) -> ClassCounts:
    return ClassCounts(counts @ actual, counts @ predicted, counts @ (actual & predicted))


def _one_against_rest(area: Callable[[Array, Array], Statistic]) -> Callable[[Predictions], Statistic]:
    """The mean over classes of a metric of (is the class, score of the class)."""

    def build(predictions: Predictions) -> Statistic:
        scores = _given(predictions.scores)
        parts = [area(predictions.target == index, scores[:, index]) for index in predictions.positives()]
        return lambda counts: np.asarray(np.mean([part(counts) for part in parts], axis=0))

    return build


def _roc_area(actual: Array, scores: Array) -> Statistic:
    """Share of (positive, negative) pairs in the right order; ties count half (Hanley and McNeil, 1982)."""
    order, starts = _tied_order(scores)

    def statistic(counts: Array) -> Array:
        positive = _grouped(counts, actual, order, starts)
        negative = _grouped(counts, ~actual, order, starts)
        below = np.cumsum(negative, axis=1) - negative / 2
        return _ratio((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))

    return statistic


def _average_precision(actual: Array, scores: Array) -> Statistic:
    """Sum of precision times the growth of recall, from the highest score down."""
    order, starts = _tied_order(-scores)

    def statistic(counts: Array) -> Array:
        positive = _grouped(counts, actual, order, starts)
        chosen = np.cumsum(_grouped(counts, np.ones_like(actual), order, starts), axis=1)
        precision = np.nan_to_num(_ratio(np.cumsum(positive, axis=1), chosen))
        return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))

    return statistic


def _tied_order(scores: Array) -> tuple[Array, Array]:
    """Positions in ascending order, and where each run of equal scores starts."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    return order, np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])


def _grouped(counts: Array, mask: Array, order: Array, starts: Array) -> Array:
    """Counts of masked rows, summed over runs of equal scores: [B, runs]."""
    masked = counts[:, order] * mask[order]
    return masked if len(starts) == len(order) else np.add.reduceat(masked, starts, axis=1)


def _calibration_error(predictions: Predictions) -> Statistic:
    """Expected calibration error over bins of equal mass, without the part that noise alone would give.

    Confidence is the probability of the positive class, or of the predicted one when there are more than two. A bin's
    observed gap |d| overstates the true gap g by E|N(g, s)| - g, where s is the standard error of its observed frequency;
    that is subtracted, as Kumar, Liang and Ma do ("Verified Uncertainty Calibration", 2019), with g² estimated by
    d² - s² and not by d², which is too large just where the model is well calibrated.
    """
    confidence, correct = _confidence(predictions)
    order, starts = _tied_order(confidence)
    run_of_row = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    # Ties stay together: a run belongs to the bin of its first row.
    bins = (starts[run_of_row] * CALIBRATION_BINS) // len(order)
    member = np.zeros((len(order), CALIBRATION_BINS))
    member[order, bins] = 1.0

    def statistic(counts: Array) -> Array:
        size = counts @ member
        frequency = _ratio(counts @ (member * correct[:, None]), size)
        gap = np.abs(_ratio(counts @ (member * confidence[:, None]), size) - frequency)
        error = np.sqrt(_ratio(frequency * (1 - frequency), size - 1))
        true_gap = np.sqrt(np.maximum(gap**2 - error**2, 0.0))
        unbiased = np.nan_to_num(gap - (_folded_mean(true_gap, error) - true_gap))
        return np.asarray(np.maximum((unbiased * size).sum(axis=1) / size.sum(axis=1), 0.0))

    return statistic


def _confidence(predictions: Predictions) -> tuple[Array, Array]:
    probabilities = _given(predictions.probabilities)
    if predictions.positive is not None:
        return probabilities[:, predictions.positive], (predictions.target == predictions.positive).astype(np.float64)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == predictions.target).astype(np.float64)


def _folded_mean(mean: Array, deviation: Array) -> Array:
    """E|X| of a normal X; |mean| where the deviation is zero."""
    safe = np.where(deviation > 0, deviation, 1.0)
    folded = safe * np.sqrt(2 / np.pi) * np.exp(-(mean**2) / (2 * safe**2)) + mean * erf(mean / (safe * np.sqrt(2)))
    return np.where(deviation > 0, folded, np.abs(mean))


def _r2(predictions: Predictions) -> Statistic:
    centred = predictions.target - predictions.target.mean()
    squared_error = (predictions.target - predictions.predicted) ** 2

    def statistic(counts: Array) -> Array:
        total = counts @ centred**2 - (counts @ centred) ** 2 / counts.sum(axis=1)
        return np.asarray(1.0 - _ratio(counts @ squared_error, total))

    return statistic


def _absolute_error(predictions: Predictions) -> Array:
    return np.asarray(np.abs(predictions.target - predictions.predicted))


def _root_mean_squared_error(predictions: Predictions) -> Statistic:
    mean_square = _mean(_absolute_error(predictions) ** 2)
    return lambda counts: np.asarray(np.sqrt(mean_square(counts)))


def _median_absolute_error(predictions: Predictions) -> Statistic:
    errors = _absolute_error(predictions)
    order = np.argsort(errors, kind="stable")
    ranked = errors[order]

    def statistic(counts: Array) -> Array:
        reached = np.cumsum(counts[:, order], axis=1)
        rows = reached[:, -1:]
        lower = np.argmax(reached > np.floor((rows - 1) / 2), axis=1)
        upper = np.argmax(reached > np.floor(rows / 2), axis=1)
        return np.asarray((ranked[lower] + ranked[upper]) / 2)

    return statistic


def _ratio(numerator: Array, denominator: Array) -> Array:
    """NaN where the denominator is not positive."""
    undefined = np.full(np.shape(numerator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0))


def _given(values: Array | None) -> Array:
    if values is None:
        raise ValueError("the metric was compiled for predictions without scores; check with applicable() first")
    return values


_BUILDERS: dict[Metric, Callable[[Predictions], Statistic]] = {
    Metric.ACCURACY: _accuracy,
    Metric.BALANCED_ACCURACY: _balanced_accuracy,
    Metric.F1: lambda predictions: _by_class(predictions, "f1"),
    Metric.PRECISION: lambda predictions: _by_class(predictions, "precision"),
    Metric.RECALL: lambda predictions: _by_class(predictions, "recall"),
    Metric.ROC_AUC: _one_against_rest(_roc_area),
    Metric.AVERAGE_PRECISION: _one_against_rest(_average_precision),
    Metric.LOG_LOSS: _log_loss,
    Metric.BRIER_SCORE: _brier,
    Metric.EXPECTED_CALIBRATION_ERROR: _calibration_error,
    Metric.R2: _r2,
    Metric.MEAN_ABSOLUTE_ERROR: lambda predictions: _mean(_absolute_error(predictions)),
    Metric.ROOT_MEAN_SQUARED_ERROR: _root_mean_squared_error,
    Metric.MEDIAN_ABSOLUTE_ERROR: _median_absolute_error,
}
NEED_PROBABILITIES = frozenset({Metric.LOG_LOSS, Metric.BRIER_SCORE, Metric.EXPECTED_CALIBRATION_ERROR})
NEED_SCORES = frozenset({Metric.ROC_AUC, Metric.AVERAGE_PRECISION})
CLASSIFICATION_DEFAULTS = (
    Metric.ROC_AUC,
    Metric.AVERAGE_PRECISION,
    Metric.ACCURACY,
    Metric.BALANCED_ACCURACY,
    Metric.F1,
    Metric.LOG_LOSS,
    Metric.BRIER_SCORE,
    Metric.EXPECTED_CALIBRATION_ERROR,
)
REGRESSION_DEFAULTS = (
    Metric.R2,
    Metric.MEAN_ABSOLUTE_ERROR,
    Metric.ROOT_MEAN_SQUARED_ERROR,
    Metric.MEDIAN_ABSOLUTE_ERROR,
)
