"""Metrics of predicted numbers from sums over labelled rows, with intervals.

The intervals are normal approximations: they need the few hundred labels that a verdict waits for, and they are too
narrow where single errors dominate the sums (tails so heavy that the fourth moment is not seen in the window).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mainspring.api.monitoring import ErrorSums
from mainspring.plan.statistics.proportions import Interval, Z

NORMAL_KURTOSIS = 3.0
INDEPENDENT = 1.0
SMALLEST_SHARE = 1e-12  # of the mean square; a smaller variance is rounding


def mean_absolute_error(sums: ErrorSums) -> Interval | None:
    """In units of the target; None with fewer than two rows."""
    if sums.rows < 2:
        return None
    value = sums.absolute / sums.rows
    variance = max(sums.squared / sums.rows - value**2, 0.0) / (sums.rows - 1)
    half = Z * math.sqrt(variance)
    return Interval(value, max(value - half, 0.0), value + half, sums.rows)


def root_mean_squared_error(sums: ErrorSums) -> Interval | None:
    """In units of the target; None with fewer than two rows.

    Delta method on the logarithm, where it cannot become negative; the variance of a squared error is E e⁴ - (E e²)².
    """
    if sums.rows < 2:
        return None
    value = math.sqrt(sums.squared / sums.rows)
    half = Z * math.sqrt((_squared_error_kurtosis(sums) - 1) / sums.rows) / 2
    return Interval(value, value * math.exp(-half), value * math.exp(half), sums.rows)


def r2(sums: ErrorSums) -> Interval | None:
    """1 - (mean squared error) / (variance of the labels); None with fewer than two rows, or when all labels are equal.

    Delta method on the logarithm of the quotient: a row adds its squared error, divided by the mean of those, minus its
    label's squared distance, divided by the variance. Without the moments of labels these are taken as normal and as
    independent of the size of errors: then the interval is too wide for labels with lighter tails and far too narrow
    for skewed ones (78 % instead of 95 % for exponential labels, by simulation).
    """
    spread = _label_spread(sums) if sums.rows >= 2 else None
    if spread is None:
        return None
    unexplained = sums.squared / sums.rows / spread.variance
    variance = _squared_error_kurtosis(sums) - 2 * spread.shared + spread.kurtosis
    half = Z * math.sqrt(max(variance, 0.0) / sums.rows)
    bounds = 1 - unexplained * math.exp(half), 1 - unexplained * math.exp(-half)
    return Interval(1 - unexplained, *bounds, sums.rows)


@dataclass(frozen=True)
class _Spread:
    """Of labels; `shared` is the mean of squared error times squared distance, each divided by its own mean."""

    variance: float
    kurtosis: float
    shared: float


def _label_spread(sums: ErrorSums) -> _Spread | None:
    """None where rounding leaves nothing of the variance."""
    mean, mean_square = sums.labels / sums.rows, sums.labels_squared / sums.rows
    variance = mean_square - mean**2
    if variance <= SMALLEST_SHARE * mean_square:
        return None
    moments = sums.moments
    if moments is None or moments.rows != sums.rows or not sums.squared:
        return _Spread(variance, NORMAL_KURTOSIS, INDEPENDENT)
    third, fourth = moments.third / sums.rows, moments.fourth / sums.rows
    kurtosis = (fourth - 4 * mean * third + 6 * mean**2 * mean_square - 3 * mean**4) / variance**2
    with_label = moments.squared_errors_labels / sums.squared
    with_square = moments.squared_errors_labels_squared / sums.squared
    return _Spread(variance, max(kurtosis, 1.0), (with_square - 2 * mean * with_label + mean**2) / variance)


def _squared_error_kurtosis(sums: ErrorSums) -> float:
    """E e⁴ / (E e²)², at least 1; 1 when there are no errors at all."""
    mean = sums.squared / sums.rows
    return max(sums.fourth / sums.rows / mean**2, 1.0) if mean > 0 else 1.0
