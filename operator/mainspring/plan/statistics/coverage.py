"""Which predictions got a label: a quality that is measured on a chosen few speaks for those few.

Labels often come for the cases that somebody looked at. Biased means that one predicted class has more than twice the
share of labels of another, and that chance does not explain it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from mainspring.plan.statistics.bins import percent
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.distributions import normal_upper_quantile
from mainspring.plan.statistics.proportions import least_ratio

MOST_RATIO = 2.0
ALPHA = 0.001


@dataclass(frozen=True)
class ClassCoverage:
    """Of the rows with this predicted class, how many have a label."""

    name: str
    labelled: int
    rows: int

    @property
    def share(self) -> float:
        return self.labelled / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Coverage:
    """`share` is of all rows; `classes` is empty for regression. `explanation` names the classes when biased."""

    share: float
    classes: tuple[ClassCoverage, ...]
    biased: bool
    explanation: str


def judge(window: WindowCounts, classes: Sequence[str] | None) -> Coverage:
    """Labels come late: give it counts of a time in which most labels could arrive. A share is at most 1."""
    labelled = window.feedback.rows if window.feedback else 0
    share = min(labelled / window.rows, 1.0) if window.rows else 0.0
    covered = _by_class(window, classes or ())
    pair = _unequal(covered)
    return Coverage(share, covered, pair is not None, _explanation(share, pair))


def _by_class(window: WindowCounts, classes: Sequence[str]) -> tuple[ClassCoverage, ...]:
    confusion = window.feedback.confusion if window.feedback else None
    if window.predicted is None:
        return ()
    labelled = [sum(row) for row in confusion] if confusion else [0] * len(window.predicted)
    counted = zip(classes, labelled, window.predicted, strict=True)
    return tuple(ClassCoverage(name, min(labels, rows), rows) for name, labels, rows in counted)


def _unequal(classes: Sequence[ClassCoverage]) -> tuple[ClassCoverage, ClassCoverage] | None:
    """The class with most labels and the one with fewest, among those that certainly differ more than twofold.

    The lower bound of the ratio holds for all pairs together (Bonferroni).
    """
    pairs = [pair for pair in permutations(classes, 2) if pair[0].share > MOST_RATIO * pair[1].share]
    z = normal_upper_quantile(ALPHA / max(len(classes) * (len(classes) - 1), 1))
    certain = [(more, less) for more, less in pairs if _least(more, less, z) > MOST_RATIO]
    return max(certain, key=lambda pair: _least(pair[0], pair[1], z), default=None)


def _least(more: ClassCoverage, less: ClassCoverage, z: float) -> float:
    return least_ratio(more.labelled, more.rows, less.labelled, less.rows, z)


def _explanation(share: float, pair: tuple[ClassCoverage, ClassCoverage] | None) -> str:
    text = f"{percent(share)} of rows have a label"
    if pair is None:
        return text
    more, less = pair
    unequal = (
        f"{percent(more.share)} of rows predicted {more.name!r}, {percent(less.share)} of those predicted {less.name!r}"
    )
    return f"{text}, but {unequal}: the measured quality does not speak for all rows"
