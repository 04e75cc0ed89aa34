"""Metrics of predicted numbers from sums over labelled rows, with intervals.

The intervals are normal approximations: they need the few hundred labels that a verdict waits for, and they are too
narrow where single errors dominate the sums (tails so heavy that the fourth moment is not seen in the window).
"""

from __future__ import annotations

import math

from mainspring.api.monitoring import ErrorSums
from mainspring.plan.statistics.proportions import Interval, Z

NORMAL_KURTOSIS = 3.0


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
    half = Z * math.sqrt(_relative_variance(sums)) / 2
    return Interval(value, value * math.exp(-half), value * math.exp(half), sums.rows)


def r2(sums: ErrorSums) -> Interval | None:
    """1 - (mean squared error) / (variance of the labels); None with fewer than two rows, or when all labels are equal.

    Delta method on the logarithm of the quotient. Servers send no higher moments of labels, so for the denominator's
    noise labels are taken as normal, and as independent of the size of errors: the interval is too wide for labels
    with lighter tails and too narrow for heavier ones.
    """
    variance = _label_variance(sums) if sums.rows >= 2 else 0.0
    if variance <= 0:
        return None
    unexplained = sums.squared / sums.rows / variance
    half = Z * math.sqrt(_relative_variance(sums) + (NORMAL_KURTOSIS - 1) / sums.rows)
    bounds = 1 - unexplained * math.exp(half), 1 - unexplained * math.exp(-half)
    return Interval(1 - unexplained, *bounds, sums.rows)


def _relative_variance(sums: ErrorSums) -> float:
    """Of the mean squared error, divided by its square; 0 when there are no errors at all."""
    mean = sums.squared / sums.rows
    return max(sums.fourth / sums.rows / mean**2 - 1, 0.0) / sums.rows if mean > 0 else 0.0


def _label_variance(sums: ErrorSums) -> float:
    """0 where rounding leaves nothing of it."""
    mean_square = sums.labels_squared / sums.rows
    variance = mean_square - (sums.labels / sums.rows) ** 2
    return variance if variance > 1e-12 * mean_square else 0.0
