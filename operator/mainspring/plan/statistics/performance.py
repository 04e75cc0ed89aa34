"""Measured performance: what labels say, as an interval, and whether that breaks a bound.

Degraded means that the whole 95 % interval is on the bad side. Too few labels is a verdict of its own, never a pass.
Called by the plan of a ModelMonitor with the labels of a window or of a season.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mainspring.api.monitoring import ErrorSums, FeedbackCounts, Reference
from mainspring.api.v1alpha1.trainingrun import LESS_IS_BETTER, Metric
from mainspring.plan.statistics import classification, regression, roc
from mainspring.plan.statistics.classification import Ratio
from mainspring.plan.statistics.proportions import Interval


class Verdict(StrEnum):
    """What a bound and an interval come to."""

    MET = "Met"
    DEGRADED = "Degraded"
    INSUFFICIENT = "Insufficient"
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True)
class Performance:
    """`interval` is given whenever it can be computed, also under the minimum of labels."""

    metric: Metric
    verdict: Verdict
    labels: int
    interval: Interval | None
    explanation: str


def judge(
    metric: Metric, feedback: FeedbackCounts | None, reference: Reference, bound: float, minimum_labels: int
) -> Performance:
    """`bound` is a minimum, or a maximum for a metric of which less is better, in units of the metric."""
    labels = feedback.rows if feedback else 0
    if why := unavailable(metric, reference):
        return Performance(metric, Verdict.UNAVAILABLE, labels, None, why)
    interval = _MEASURES[metric](feedback, reference) if feedback else None
    if labels < minimum_labels:
        text = f"{metric} needs {minimum_labels} labels, there are {labels}"
        return Performance(metric, Verdict.INSUFFICIENT, labels, interval, text)
    if interval is None:
        text = f"{metric} is undefined for the {labels} labels: one of the classes does not occur"
        return Performance(metric, Verdict.INSUFFICIENT, labels, None, text)
    verdict = Verdict.DEGRADED if is_beyond(metric, interval, bound) else Verdict.MET
    return Performance(metric, verdict, labels, interval, described(metric, interval, bound))


def is_beyond(metric: Metric, interval: Interval, bound: float) -> bool:
    """Whether the whole interval is on the bad side of the bound."""
    return interval.lower > bound if metric in LESS_IS_BETTER else interval.upper < bound


def described(metric: Metric, interval: Interval, bound: float) -> str:
    """For example: accuracy 0.87 [0.85, 0.89] on 1200 rows, minimum 0.9."""
    side = "maximum" if metric in LESS_IS_BETTER else "minimum"
    bounds = f"[{interval.lower:.4g}, {interval.upper:.4g}]"
    return f"{metric} {interval.value:.4g} {bounds} on {interval.rows} rows, {side} {bound:g}"


def unavailable(metric: Metric, reference: Reference) -> str:
    """Why this metric cannot be had from the counters of this model; empty when it can."""
    if why := _NOT_FROM_COUNTS.get(metric):
        return f"{metric} cannot be had from counts: {why}"
    task = "Regression" if metric in _FROM_ERRORS else "Classification"
    if reference.task != task:
        return f"{metric} is not a metric for task: {reference.task}"
    if metric is Metric.ROC_AUC and positive_class(reference) is None:
        return f"{metric} needs the probability of a positive class, which this model does not give"
    two = len(reference.classes or ()) == 2
    if metric in _FROM_RATIOS and two and positive_class(reference) is None:
        return f"{metric} needs to know the positive class, which the reference of this model does not name"
    return ""


def positive_class(reference: Reference) -> int | None:
    """Its index among the classes; None when no probability of a positive class is watched."""
    positive = reference.prediction.positive if reference.prediction else None
    classes = reference.classes or []
    return classes.index(positive) if positive in classes else None


def _accuracy(feedback: FeedbackCounts, _: Reference) -> Interval | None:
    return classification.accuracy(feedback.confusion) if feedback.confusion else None


def _balanced_accuracy(feedback: FeedbackCounts, _: Reference) -> Interval | None:
    return classification.macro(classification.RECALL, feedback.confusion) if feedback.confusion else None


def _ratio(ratio: Ratio) -> Callable[[FeedbackCounts, Reference], Interval | None]:
    """Of the positive class; the mean over classes when there is none."""

    def measure(feedback: FeedbackCounts, reference: Reference) -> Interval | None:
        if not feedback.confusion:
            return None
        positive = positive_class(reference)
        if positive is None or len(feedback.confusion) > 2:
            return classification.macro(ratio, feedback.confusion)
        return classification.of_class(ratio, feedback.confusion, positive)

    return measure


def _roc_auc(feedback: FeedbackCounts, _: Reference) -> Interval | None:
    if not feedback.score_rows or not feedback.score_positives:
        return None
    pairs = zip(feedback.score_rows, feedback.score_positives, strict=True)
    return roc.interval(feedback.score_positives, [rows - positives for rows, positives in pairs])


def _errors(
    measure: Callable[[ErrorSums], Interval | None],
) -> Callable[[FeedbackCounts, Reference], Interval | None]:
    return lambda feedback, _: measure(feedback.errors) if feedback.errors else None


_FROM_RATIOS: dict[Metric, Ratio] = {
    Metric.F1: classification.F1,
    Metric.PRECISION: classification.PRECISION,
    Metric.RECALL: classification.RECALL,
}
_FROM_ERRORS: dict[Metric, Callable[[ErrorSums], Interval | None]] = {
    Metric.R2: regression.r2,
    Metric.MEAN_ABSOLUTE_ERROR: regression.mean_absolute_error,
    Metric.ROOT_MEAN_SQUARED_ERROR: regression.root_mean_squared_error,
}
_MEASURES: dict[Metric, Callable[[FeedbackCounts, Reference], Interval | None]] = {
    Metric.ACCURACY: _accuracy,
    Metric.BALANCED_ACCURACY: _balanced_accuracy,
    Metric.ROC_AUC: _roc_auc,
    **{metric: _ratio(ratio) for metric, ratio in _FROM_RATIOS.items()},
    **{metric: _errors(measure) for metric, measure in _FROM_ERRORS.items()},
}
_WITHIN_BINS = (
    "it depends on how probabilities spread within a bin (Stephenson et al., Weather and Forecasting 23, 2008)"
)
_NOT_FROM_COUNTS = {
    Metric.LOG_LOSS: _WITHIN_BINS,
    Metric.BRIER_SCORE: _WITHIN_BINS,
    Metric.EXPECTED_CALIBRATION_ERROR: _WITHIN_BINS,
    Metric.AVERAGE_PRECISION: "it depends on the order of rows within the highest bins",
    Metric.MEDIAN_ABSOLUTE_ERROR: "sums of errors have no median",
}
