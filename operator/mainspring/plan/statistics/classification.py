"""Metrics of a confusion table, with intervals. Tables are [predicted class][true class], as servers count them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from mainspring.plan.statistics.proportions import Interval, proportion, within_unit

Table = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Ratio:
    """A metric of class c as one sum over cells divided by another; weights of the cells, by where they are.

    `correct` weighs cell (c, c) in the numerator; `predicted` and `actual` weigh row c and column c in the denominator.
    """

    correct: int
    predicted: int
    actual: int

    def denominator(self, predicted: float, actual: float) -> float:
        return self.predicted * predicted + self.actual * actual


PRECISION = Ratio(1, 1, 0)
RECALL = Ratio(1, 0, 1)
F1 = Ratio(2, 1, 1)

SMOOTHING_ROWS = 2.0  # spread over all cells for the variance alone (as Agresti and Coull add rows to a proportion)


def accuracy(table: Table) -> Interval | None:
    """None without rows."""
    rows = sum(map(sum, table))
    return proportion(sum(row[index] for index, row in enumerate(table)), rows) if rows else None


def of_class(ratio: Ratio, table: Table, positive: int) -> Interval | None:
    """Precision, recall or F1 of one class; None where it is undefined.

    Precision and recall are proportions, with Wilson's interval. F1 is 2J / (1 + J), where J = TP / (TP + FP + FN) is the
    proportion of hits among all rows that are, or are called, positive; its interval is that of J, transformed.
    """
    hits = table[positive][positive]
    called, actual = sum(table[positive]), sum(row[positive] for row in table)
    if ratio is not F1:
        rows = called if ratio is PRECISION else actual
        return proportion(hits, rows) if rows else None
    rows = called + actual - hits
    return _transformed(proportion(hits, rows), lambda j: 2 * j / (1 + j)) if rows else None


def _transformed(interval: Interval, increasing: Callable[[float], float]) -> Interval:
    return Interval(increasing(interval.value), increasing(interval.lower), increasing(interval.upper), interval.rows)


def macro(ratio: Ratio, table: Table) -> Interval | None:
    """Unweighted mean over the classes that occur, undefined ratios counting as zero; None without rows.

    Delta method on the multinomial cells (Takahashi et al., Applied Intelligence 52, 2022). Recall is over the classes
    that have labels: that is balanced accuracy.
    """
    rows = sum(map(sum, table))
    called, actual = _margins(table)
    there = [c for c in range(len(table)) if actual[c] + called[c]]
    classes = [c for c in there if ratio is not RECALL or actual[c]]
    if len(classes) < 2:
        return of_class(ratio, table, classes[0]) if classes else None
    value = math.fsum(_ratio(ratio, table[c][c], called[c], actual[c]) for c in classes) / len(classes)
    shares = _smoothed([[table[i][j] for j in there] for i in there])
    averaged = [there.index(c) for c in classes]
    return within_unit(value, math.sqrt(_variance(ratio, shares, averaged) / rows), rows)


def _margins(table: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Rows by predicted, and by true class."""
    return [math.fsum(row) for row in table], [math.fsum(column) for column in zip(*table, strict=True)]


def _ratio(ratio: Ratio, hits: float, called: float, actual: float) -> float:
    below = ratio.denominator(called, actual)
    return ratio.correct * hits / below if below else 0.0


def _smoothed(table: Table) -> list[list[float]]:
    """Shares, with a little everywhere: a table without errors has a variance, too."""
    more = SMOOTHING_ROWS / len(table) ** 2
    total = sum(map(sum, table)) + SMOOTHING_ROWS
    return [[(cell + more) / total for cell in row] for row in table]


def _variance(ratio: Ratio, shares: Sequence[Sequence[float]], averaged: Collection[int]) -> float:
    """Of one row's influence on the mean over the `averaged` classes; the influences themselves have mean zero."""
    called, actual = _margins(shares)
    weights = [
        1 / ratio.denominator(called[c], actual[c]) / len(averaged) if c in averaged else 0.0
        for c in range(len(shares))
    ]
    values = [_ratio(ratio, shares[c][c], called[c], actual[c]) for c in range(len(shares))]
    lost = [weight * value for weight, value in zip(weights, values, strict=True)]
    influences = (
        (share, (ratio.correct * weights[i] if i == j else 0.0) - ratio.predicted * lost[i] - ratio.actual * lost[j])
        for i, row in enumerate(shares)
        for j, share in enumerate(row)
    )
    return math.fsum(share * influence**2 for share, influence in influences)
