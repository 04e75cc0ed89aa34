"""Intervals for proportions, their differences and their ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mainspring.plan.statistics.distributions import normal_upper_quantile

LEVEL = 0.95
Z = normal_upper_quantile((1 - LEVEL) / 2)


@dataclass(frozen=True)
class Interval:
    """A value with its two-sided 95 % interval, and the rows that it rests on."""

    value: float
    lower: float
    upper: float
    rows: int


def within_unit(value: float, deviation: float, rows: int) -> Interval:
    """Normal interval of a value in [0, 1] with this standard deviation."""
    return Interval(value, max(value - Z * deviation, 0.0), min(value + Z * deviation, 1.0), rows)


def wilson(successes: float, rows: float, z: float = Z) -> tuple[float, float]:
    """Lower and upper bound of a proportion, each at the normal quantile `z`; (0, 1) without rows.

    The score interval (Wilson, JASA 22, 1927), which keeps its level for rates near 0 and 1 and for few rows.
    """
    if rows <= 0:
        return 0.0, 1.0
    rate = successes / rows
    shrink = 1 + z * z / rows
    centre = (rate + z * z / (2 * rows)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows))
    # Rounding must not move a bound across the rate itself.
    return min(max(centre - half, 0.0), rate), max(min(centre + half, 1.0), rate)


def proportion(successes: int, rows: int) -> Interval:
    """A proportion with Wilson's interval. Raises ZeroDivisionError without rows."""
    return Interval(successes / rows, *wilson(successes, rows), rows)


def least_increase(successes: int, rows: int, earlier_successes: int, earlier_rows: int, z: float) -> float:
    """One-sided lower bound, at the normal quantile `z`, of how much a proportion has grown.

    Newcombe's hybrid score method (Statistics in Medicine 17, 1998, method 10): Wilson's bounds of both proportions,
    combined by the sum of squares. -1 without rows on one side.
    """
    if not rows or not earlier_rows:
        return -1.0
    rate, earlier = successes / rows, earlier_successes / earlier_rows
    below = rate - wilson(successes, rows, z)[0]
    above = wilson(earlier_successes, earlier_rows, z)[1] - earlier
    return rate - earlier - math.hypot(below, above)


def least_ratio(successes: int, rows: int, other_successes: int, other_rows: int, z: float) -> float:
    """One-sided lower bound, at the normal quantile `z`, of the ratio of two proportions; 0 without rows on one side.

    Normal on the logarithm (Katz et al., Biometrics 34, 1978) with a half added to every count, which keeps it finite at
    zero (Walter, Biometrika 62, 1975).
    """
    if not rows or not other_rows:
        return 0.0
    top, bottom = successes + 0.5, other_successes + 0.5
    all_rows, all_other = rows + 0.5, other_rows + 0.5
    deviation = math.sqrt(max(1 / top - 1 / all_rows + 1 / bottom - 1 / all_other, 0.0))
    return (top / all_rows) / (bottom / all_other) * math.exp(-z * deviation)
