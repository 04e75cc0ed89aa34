"""Area under the ROC curve from score bins, against scikit-learn, brute force and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mainspring.plan.statistics import roc
from tests.chance import OFTEN

CELLS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=20)


def unzipped(cells: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [p for p, _ in cells], [n for _, n in cells]


def rows(positives: list[int], negatives: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and bins, row by row."""
    bins = np.arange(len(positives))
    labels = np.r_[np.ones(sum(positives)), np.zeros(sum(negatives))]
    return labels, np.r_[np.repeat(bins, positives), np.repeat(bins, negatives)]


@OFTEN
@given(CELLS)
def test_the_area_is_that_of_scikit_learn_over_bins(cells: list[tuple[int, int]]) -> None:
    positives, negatives = unzipped(cells)
    assume(sum(positives) > 1 < sum(negatives))
    found = roc.interval(positives, negatives)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(*rows(positives, negatives)))
    assert 0 <= found.lower <= found.value <= found.upper <= 1
    assert found.lower < found.upper
    assert found.rows == sum(positives) + sum(negatives)


@OFTEN
@given(CELLS)
def test_turning_the_scores_around_turns_the_interval_around(cells: list[tuple[int, int]]) -> None:
    positives, negatives = unzipped(cells)
    assume(sum(positives) > 1 < sum(negatives))
    one, other = roc.interval(positives, negatives), roc.interval(positives[::-1], negatives[::-1])
    assert one is not None
    assert other is not None
    assert (1 - other.value, 1 - other.upper, 1 - other.lower) == pytest.approx(
        (one.value, one.lower, one.upper), abs=1e-9
    )


def test_the_variance_is_delongs_row_by_row() -> None:
    positives, negatives = [1, 4, 9, 20], [15, 12, 6, 2]
    labels, bins = rows(positives, negatives)
    high, low = bins[labels == 1], bins[labels == 0]
    wins = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
    variance = wins.mean(axis=1).var(ddof=1) / len(high) + wins.mean(axis=0).var(ddof=1) / len(low)
    value = wins.mean()
    half = stats.norm.isf(0.025) * np.sqrt(variance) / (value * (1 - value))
    logit = np.log(value / (1 - value))
    found = roc.interval(positives, negatives)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx(tuple(1 / (1 + np.exp(-(logit + np.array([-half, half]))))))


@pytest.mark.parametrize(("cells", "value"), [([(0, 50), (20, 0)], 1.0), ([(20, 0), (0, 50)], 0.0)])
def test_perfect_order_is_not_taken_for_certainty(cells: list[tuple[int, int]], value: float) -> None:
    found = roc.interval(*unzipped(cells))
    assert found is not None
    assert found.value == value
    assert found.upper - found.lower == pytest.approx(0.161, abs=1e-3)  # Wilson's for 20 of 20


def test_one_class_alone_has_no_area() -> None:
    assert roc.interval([5, 5], [0, 0]) is None
    assert roc.interval([0, 1], [50, 50]) is None


@pytest.mark.parametrize(
    ("shift", "rate", "size"), [(1.0, 0.5, 500), (1.5, 0.1, 1000), (2.5, 0.3, 500), (0.0, 0.2, 500)]
)
def test_the_interval_holds_the_true_area_as_often_as_it_says(shift: float, rate: float, size: int) -> None:
    random = np.random.default_rng(7)
    edges = stats.norm.ppf(np.arange(1, 20) / 20) + shift * rate
    cuts = np.r_[-np.inf, edges, np.inf]
    positive, negative = np.diff(stats.norm.cdf(cuts - shift)), np.diff(stats.norm.cdf(cuts))
    truth = roc.area(positive, roc.placements(positive, negative))
    held = 0
    for _ in range(1500):
        actual = random.binomial(size, rate)
        found = roc.interval(
            random.multinomial(actual, positive).tolist(), random.multinomial(size - actual, negative).tolist()
        )
        assert found is not None
        held += found.lower <= truth <= found.upper
    assert 0.93 <= held / 1500 <= 0.975


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_twenty_bins_lose_less_than_half_a_point_of_area(shift: float) -> None:
    """Bins of equal mass over a population that is half positive; the exact area is Φ(shift / √2)."""
    mass = lambda x: (stats.norm.cdf(x) + stats.norm.cdf(x - shift)) / 2  # noqa: E731
    grid = np.linspace(-8, 8 + shift, 200_001)
    edges = np.interp(np.arange(1, 20) / 20, mass(grid), grid)
    cuts = np.r_[-np.inf, edges, np.inf]
    positive, negative = np.diff(stats.norm.cdf(cuts - shift)), np.diff(stats.norm.cdf(cuts))
    lost = stats.norm.cdf(shift / np.sqrt(2)) - roc.area(positive, roc.placements(positive, negative))
    assert 0 < lost < 0.005
