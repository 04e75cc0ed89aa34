"""Proportions against scipy, published examples and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mainspring.plan.statistics import proportions
from tests.chance import OFTEN


@pytest.mark.parametrize(("successes", "rows"), [(0, 1), (1, 1), (0, 500), (500, 500), (3, 17), (450, 500), (1, 10**6)])
def test_wilson_is_that_of_scipy(successes: int, rows: int) -> None:
    expected = stats.binomtest(successes, rows).proportion_ci(0.95, "wilson")
    assert proportions.wilson(successes, rows) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)


@OFTEN
@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_the_interval_of_a_proportion_contains_it_and_lies_within_zero_and_one(successes: int, more: int) -> None:
    found = proportions.proportion(successes, successes + more)
    assert 0 <= found.lower <= found.value <= found.upper <= 1
    assert found.lower < found.upper


@OFTEN
@given(st.integers(0, 50), st.integers(1, 50), st.integers(2, 100))
def test_more_rows_of_the_same_rate_make_the_interval_narrower(successes: int, more: int, times: int) -> None:
    few = proportions.proportion(successes, successes + more)
    many = proportions.proportion(times * successes, times * (successes + more))
    assert many.upper - many.lower < few.upper - few.lower


def test_increase_is_that_of_newcombes_published_examples() -> None:
    """Newcombe (1998), table II, method 10: 95 % intervals of 56/70 - 48/80 and 9/10 - 3/10."""
    assert proportions.least_increase(56, 70, 48, 80, proportions.Z) == pytest.approx(0.0524, abs=5e-5)
    assert proportions.least_increase(9, 10, 3, 10, proportions.Z) == pytest.approx(0.1705, abs=5e-5)
    assert proportions.least_increase(48, 80, 56, 70, -proportions.Z) != pytest.approx(0.0524, abs=5e-5)


def test_least_increase_is_below_the_true_one_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    z = 1.6448536269514722  # one-sided 95 %
    for rate, before, rows, rows_before in [(0.1, 0.02, 500, 455), (0.02, 0.0, 1000, 5000), (0.3, 0.2, 500, 500)]:
        found = [
            proportions.least_increase(int(now), rows, int(then), rows_before, z) <= rate - before
            for now, then in zip(
                random.binomial(rows, rate, 4000), random.binomial(rows_before, before, 4000), strict=True
            )
        ]
        assert np.mean(found) >= 0.94


def test_nothing_is_known_without_rows() -> None:
    assert proportions.wilson(0, 0) == (0.0, 1.0)
    assert proportions.least_increase(0, 0, 1, 5, 3.0) == -1.0
    assert proportions.least_increase(1, 5, 0, 0, 3.0) == -1.0
    assert proportions.least_ratio(1, 5, 0, 0, 3.0) == 0.0


def test_least_ratio_is_that_of_scipy_when_there_are_many_rows() -> None:
    expected = stats.contingency.relative_risk(9000, 10000, 3000, 10000).confidence_interval(0.95)
    assert proportions.least_ratio(9000, 10000, 3000, 10000, proportions.Z) == pytest.approx(expected.low, rel=1e-3)


@OFTEN
@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.1, 5), st.floats(0.1, 3))
def test_asking_for_more_certainty_lowers_the_bounds(now: int, then: int, z: float, more: float) -> None:
    for least in (proportions.least_increase, proportions.least_ratio):
        assert least(now, 500, then, 500, z + more) <= least(now, 500, then, 500, z) + 1e-12
