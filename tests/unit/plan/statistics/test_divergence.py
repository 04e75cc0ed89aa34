"""Tests and distances over bins against scipy, and chance by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mainspring.plan.statistics import divergence
from mainspring.plan.statistics.divergence import Samples
from tests.chance import OFTEN

BINS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=30)


def samples(cells: list[tuple[int, int]]) -> Samples:
    return Samples(tuple(r for r, _ in cells), tuple(w for _, w in cells))


@OFTEN
@given(BINS)
def test_chi_squared_is_that_of_scipy(cells: list[tuple[int, int]]) -> None:
    dense = divergence.pooled(samples(cells))
    assume(len(dense.reference) > 1)
    expected = stats.chi2_contingency([dense.reference, dense.window], correction=False)
    found = divergence.homogeneity(dense)
    assert found.degrees == expected.dof
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-8)


@OFTEN
@given(BINS)
def test_jensen_shannon_is_that_of_scipy(cells: list[tuple[int, int]]) -> None:
    found = samples(cells)
    assume(min(found.sizes) > 0)
    expected = jensenshannon(found.reference, found.window, base=2)
    assert divergence.jensen_shannon(found) == pytest.approx(np.nan_to_num(expected), abs=1e-7)


@OFTEN
@given(BINS, st.randoms(use_true_random=False))
def test_the_order_of_bins_changes_nothing(cells: list[tuple[int, int]], random: np.random.Generator) -> None:
    shuffled = [*cells]
    random.shuffle(shuffled)
    one, other = divergence.pooled(samples(cells)), divergence.pooled(samples(shuffled))
    assert one == other
    assert divergence.jensen_shannon(samples(cells)) == pytest.approx(divergence.jensen_shannon(samples(shuffled)))


@OFTEN
@given(BINS)
def test_pooling_loses_no_row_and_leaves_no_sparse_bin(cells: list[tuple[int, int]]) -> None:
    found = samples(cells)
    assume(min(found.sizes) > 0)
    dense = divergence.pooled(found)
    assert dense.sizes == found.sizes
    expected = np.add(dense.reference, dense.window) * min(found.sizes) / sum(found.sizes)
    assert len(expected) == 1 or expected.min() >= divergence.LEAST_EXPECTED - 1e-9


@OFTEN
@given(BINS, st.integers(1, 20))
def test_equal_shares_have_no_distance(cells: list[tuple[int, int]], times: int) -> None:
    counts = tuple(r for r, _ in cells)
    assume(sum(counts))
    dense = divergence.pooled(Samples(counts, tuple(times * count for count in counts)))
    assert divergence.homogeneity(dense).p == pytest.approx(1.0)
    assert divergence.psi(dense) < 0.01
    assert divergence.jensen_shannon(dense) == pytest.approx(0.0, abs=1e-6)


@OFTEN
@given(BINS)
def test_psi_is_the_same_seen_from_either_side_and_never_negative(cells: list[tuple[int, int]]) -> None:
    found = samples(cells)
    swapped = Samples(found.window, found.reference)
    assert divergence.psi(found) == pytest.approx(divergence.psi(swapped), abs=1e-12)
    assert divergence.psi(found) >= -1e-12


def test_empty_samples_and_one_bin_are_compared_with_nothing() -> None:
    for found in (Samples((0, 0), (5, 5)), Samples((5, 5), (0, 0)), Samples((7,), (9,)), Samples((), ())):
        dense = divergence.pooled(found)
        assert divergence.homogeneity(dense) == divergence.Homogeneity(0.0, 0, 1.0)
        assert divergence.psi_null_value(dense) == 0.0


def test_holm_is_that_of_the_textbook() -> None:
    assert divergence.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert divergence.holm([]) == []
    assert divergence.holm([0.9, 0.8]) == [1.0, 1.0]


@OFTEN
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(1e-6, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(values: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        if (len(values) - rank) * values[index] > alpha:
            break
        rejected.add(int(index))
    assert {index for index, p in enumerate(divergence.holm(values)) if p <= alpha} == rejected


ZIPF = 1 / np.arange(1, 51)
RARE = np.r_[np.full(9, 0.11), 0.004, 0.004, 0.002]


@pytest.mark.parametrize(("n", "m"), [(455, 500), (455, 5000), (10_000, 500), (5_000, 5_000)])
@pytest.mark.parametrize("weights", [np.ones(11), ZIPF, RARE], ids=["equal", "zipf", "rare"])
def test_one_distribution_is_called_two_about_as_often_as_the_levels_say(n: int, m: int, weights: np.ndarray) -> None:
    """PSI above its null value: 10 in 10,000 are expected; p below a thousandth: too; both are approximations."""
    random = np.random.default_rng(n + m)
    shares = weights / weights.sum()
    pairs = zip(
        random.multinomial(n, shares, 10_000).tolist(), random.multinomial(m, shares, 10_000).tolist(), strict=True
    )
    dense = [divergence.pooled(Samples(tuple(reference), tuple(window))) for reference, window in pairs]
    above = sum(divergence.psi(found) > divergence.psi_null_value(found) for found in dense)
    rejected = sum(divergence.homogeneity(found).p < 0.001 for found in dense)
    assert 1 <= above <= 25
    assert 1 <= rejected <= 25
