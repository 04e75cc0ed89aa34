"""Area under the ROC curve of scores that are known by bin only. Rows of one bin are ties: a pair of them counts half.

With 20 bins of equal mass this is up to about 0.005 below the area of the exact scores (measured in the tests), and
never above it for a model whose scores rank rows within a bin better than chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mainspring.plan.statistics.proportions import Interval, Z, wilson

Rows = Sequence[float]  # by bin, lowest scores first; expected rows may be fractions


@dataclass(frozen=True)
class Placements:
    """By bin: of a positive row there, the negatives below it; of a negative one, the positives above it; ties half."""

    negatives_below: tuple[float, ...]
    positives_above: tuple[float, ...]
    positives: float
    negatives: float


def placements(positives: Rows, negatives: Rows) -> Placements:
    """Both are [bins]."""
    all_positives, all_negatives = math.fsum(positives), math.fsum(negatives)
    below = (total - here / 2 for total, here in zip(accumulate(negatives), negatives, strict=True))
    above = (all_positives - total + here / 2 for total, here in zip(accumulate(positives), positives, strict=True))
    return Placements(tuple(below), tuple(above), all_positives, all_negatives)


def area(positives: Rows, placed: Placements) -> float:
    """Share of (positive, negative) pairs in the right order (Hanley and McNeil, Radiology 143, 1982)."""
    pairs = math.fsum(count * below for count, below in zip(positives, placed.negatives_below, strict=True))
    return min(max(pairs / (placed.positives * placed.negatives), 0.0), 1.0)


def interval(positives: Sequence[int], negatives: Sequence[int]) -> Interval | None:
    """The area with its 95 % interval; None unless there are two rows of both classes.

    The variance is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), whose placements need no more than
    counts; it supposes no shape of the scores. The interval is symmetric on the logit (Pepe, The Statistical Evaluation
    of Medical Tests, 2003, 5.2). When all pairs are in order there is no variance to see: then Wilson's interval for the
    smaller class, for the area's variance is at most A(1 - A) / min(m, n) (Birnbaum and Klose, 1957).
    """
    placed = placements(positives, negatives)
    if min(placed.positives, placed.negatives) < 2:
        return None
    rows = round(placed.positives + placed.negatives)
    value = area(positives, placed)
    variance = _variance(positives, negatives, placed, value)
    if variance <= 0 or not 0 < value < 1:
        smaller = min(placed.positives, placed.negatives)
        return Interval(value, *wilson(value * smaller, smaller), rows)
    return Interval(value, *_on_logit(value, math.sqrt(variance)), rows)


def _variance(positives: Rows, negatives: Rows, placed: Placements, value: float) -> float:
    first = _spread(positives, (below / placed.negatives for below in placed.negatives_below), value)
    second = _spread(negatives, (above / placed.positives for above in placed.positives_above), value)
    return first / placed.positives / (placed.positives - 1) + second / placed.negatives / (placed.negatives - 1)


def _spread(rows: Rows, placed: Iterable[float], mean: float) -> float:
    return math.fsum(count * (value - mean) ** 2 for count, value in zip(rows, placed, strict=True))


def _on_logit(value: float, deviation: float) -> tuple[float, float]:
    logit = math.log(value / (1 - value))
    half = Z * deviation / (value * (1 - value))
    return _expit(logit - half), _expit(logit + half)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
