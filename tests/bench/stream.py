"""Rows of a monitored model as its servers count them: 50 features whose distribution is known, drawn window by window.

Bins are made as a training run makes them: quantiles of the reference rows themselves, so the true shares of the bins
differ from one reference to the next, as they do in life.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from mainspring.api.monitoring import Reference, ReferenceColumn
from mainspring.plan.statistics.counts import WindowCounts
from tests import monitored

Shares = npt.NDArray[np.float64]

NUMBERS, GAPPED, CATEGORIES = 30, 10, 10  # plain numbers, numbers with missing values, categories: 50 features
MISSING_RATE = 0.02
BINS, PREDICTION_BINS = 10, 20
MIX = 1 / np.arange(1, 13)  # twelve categories, as unequal as words (Zipf)
KNOWN = tuple(f"c{index}" for index in range(len(MIX)))


@dataclass(frozen=True)
class Change:
    """What happens to one feature of each kind; nothing by default."""

    title: str = "nothing"
    shift: float = 0.0  # of the first plain number, in standard deviations
    missing: float = MISSING_RATE  # rate of the first number that has gaps
    moved: float = 0.0  # share of rows that goes from the first category to the sixth
    unseen: float = 0.0  # share of rows of the first categorical column with a value that training never saw


@dataclass(frozen=True)
class World:
    """A reference with the edges of its bins, by column."""

    reference: Reference
    edges: Mapping[str, Shares]
    prediction_edges: Shares


@dataclass
class Stream:
    """Windows of `rows` rows from a world, drawn `block` at a time."""

    world: World
    rows: int
    random: np.random.Generator
    change: Change = field(default_factory=Change)

    def windows(self, count: int) -> Iterator[WindowCounts]:
        drawn = {name: self.random.multinomial(self.rows, shares, count) for name, shares in self._shares().items()}
        predictions = self.random.multinomial(self.rows, number_shares(self.world.prediction_edges, 0.0), count)
        for index in range(count):
            columns = [_counted(column, drawn[column.name][index]) for column in self.world.reference.columns]
            yield monitored.window(*columns, rows=self.rows, prediction=predictions[index].tolist())

    def _shares(self) -> dict[str, Shares]:
        """Of value bins, and of missing values or unseen ones at the end."""
        return {column.name: self._shares_of(column) for column in self.world.reference.columns}

    def _shares_of(self, column: ReferenceColumn) -> Shares:
        if column.categories is not None:
            return mix_shares(self.change if column.name == "category0" else Change())
        shift = self.change.shift if column.name == "number0" else 0.0
        missing = self.change.missing if column.name == "gapped0" else MISSING_RATE
        missing = missing if column.name.startswith("gapped") else 0.0
        return np.r_[(1 - missing) * number_shares(self.world.edges[column.name], shift), missing]


def world(rows: int, random: np.random.Generator) -> World:
    """A reference of this many rows."""
    names = [f"number{i}" for i in range(NUMBERS)] + [f"gapped{i}" for i in range(GAPPED)]
    made = [_number(name, rows, random) for name in names]
    columns = [column for column, _ in made] + [_category(f"category{i}", rows, random) for i in range(CATEGORIES)]
    values = random.normal(size=rows)
    edges = np.quantile(values, np.arange(1, PREDICTION_BINS) / PREDICTION_BINS)
    prediction = monitored.probabilities(edges.tolist(), binned(values, edges))
    reference = monitored.reference(*columns, rows=rows, prediction=prediction)
    return World(reference, {column.name: edges for column, edges in made}, edges)


def _number(name: str, rows: int, random: np.random.Generator) -> tuple[ReferenceColumn, Shares]:
    missing = int(random.binomial(rows, MISSING_RATE)) if name.startswith("gapped") else 0
    values = random.normal(size=rows - missing)
    edges = np.quantile(values, np.arange(1, BINS) / BINS)
    return monitored.numbers(name, edges.tolist(), binned(values, edges), missing=missing), edges


def _category(name: str, rows: int, random: np.random.Generator) -> ReferenceColumn:
    counts = random.multinomial(rows, mix_shares(Change())[:-1])
    return monitored.categories(name, KNOWN, [*counts.tolist(), 0])


def binned(values: npt.NDArray[np.float64], edges: Shares) -> list[int]:
    counts: list[int] = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).tolist()
    return counts


def number_shares(edges: Shares, shift: float) -> Shares:
    return np.diff(stats.norm.cdf(np.r_[-np.inf, edges, np.inf] - shift))


def mix_shares(change: Change) -> Shares:
    """Of the known categories, and of unseen values."""
    shares = MIX / MIX.sum()
    shares[[0, 5]] += (-change.moved, change.moved)
    return np.r_[(1 - change.unseen) * shares, change.unseen]


def _counted(column: ReferenceColumn, drawn: npt.NDArray[np.int64]) -> monitored.ColumnCounts:
    *values, last = drawn.tolist()
    if column.categories is not None:
        return monitored.column(column.name, [*values, last], unseen=last)
    return monitored.column(column.name, values, missing=last)
