"""Intervals by bootstrap: the rows are drawn again with replacement, many times, and every metric sees the same draws.

Percentile intervals (Efron and Tibshirani, 1993). Seeded, so the same predictions give the same interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mainspring_runtime.evaluate.metrics import Array, Statistic

RESAMPLES = 1000
FEWEST_RESAMPLES = 200
DRAWN_CELLS = 20_000_000  # resamples times rows; beyond it there are fewer resamples, whose intervals vary less anyway
BLOCK_CELLS = 2_000_000  # bounds the memory: one block of counts is 16 MB
LEVEL = 0.95
POWER_FACTOR = 1.645 + 0.842  # one-sided 95 % test that finds the difference in 80 % of cases


@dataclass(frozen=True)
class Estimate:
    """A value with its two-sided 95 % interval; None where too few resamples have a value."""

    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Difference:
    """A difference with its one-sided 95 % bounds, and what difference such data could have shown (80 % power)."""

    value: float
    lower: float
    upper: float
    smallest_detectable: float


def estimate(statistic: Statistic, resamples: Array, rows: int, *, centre: bool = False) -> Estimate:
    """The statistic over all rows, with the interval that its `resamples` (from `resample`) give.

    `centre` moves the interval so that the resamples' mean falls on the value, and not below zero: for a statistic that
    is pushed up by noise, such as a calibration error, a resample has the noise twice.
    """
    value = _over_all(statistic, rows)
    if len(resamples) < FEWEST_RESAMPLES // 2 or not np.isfinite(value):
        return Estimate(value, None, None)
    lower, upper = np.quantile(resamples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if centre:
        shift = value - resamples.mean()
        lower, upper = max(lower + shift, 0.0), upper + shift
    return Estimate(value, min(float(lower), value), max(float(upper), value))


def difference(candidate: Statistic, champion: Statistic, rows: int, seed: int) -> Difference | None:
    """Candidate minus champion on the same rows and the same draws; None when it is undefined."""

    def gap(counts: Array) -> Array:
        return np.asarray(candidate(counts) - champion(counts))

    value = _over_all(gap, rows)
    resamples = resample([gap], rows, seed)[0]
    if len(resamples) < FEWEST_RESAMPLES // 2 or not np.isfinite(value):
        return None
    lower, upper = np.quantile(resamples, [1 - LEVEL, LEVEL])
    return Difference(value, float(lower), float(upper), POWER_FACTOR * float(resamples.std(ddof=1)))


def resample(statistics: Sequence[Statistic], rows: int, seed: int) -> list[Array]:
    """The finite values of each statistic over all resamples, which all of them share."""
    parts = [[statistic(counts) for statistic in statistics] for counts in _draws(rows, seed)]
    values = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return [column[np.isfinite(column)] for column in values]


def _over_all(statistic: Statistic, rows: int) -> float:
    return float(statistic(np.ones((1, rows)))[0])


def _draws(rows: int, seed: int) -> Iterator[Array]:
    """Blocks of row counts [B, rows]; each resample has as many rows as the data."""
    generator = np.random.default_rng(seed)
    remaining = max(FEWEST_RESAMPLES, min(RESAMPLES, DRAWN_CELLS // rows))
    block = max(1, BLOCK_CELLS // rows)
    while remaining > 0:
        size = min(block, remaining)
        chosen = generator.integers(0, rows, size=(size, rows)) + np.arange(size)[:, None] * rows
        yield np.bincount(chosen.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)
        remaining -= size
