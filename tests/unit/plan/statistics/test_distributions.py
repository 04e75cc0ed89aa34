"""Tails and quantiles against scipy, as far out as a double reaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mainspring.plan.statistics import distributions
from tests.chance import OFTEN

RELATIVE_ERROR = 1e-11
DEGREES = (1, 2, 3, 4, 5, 9, 10, 19, 20, 51, 52, 100, 499, 500, 999, 1000)


@pytest.mark.parametrize("degrees", DEGREES)
def test_chi_squared_tail_is_that_of_scipy_from_one_to_the_smallest_doubles(degrees: int) -> None:
    furthest = stats.chi2.isf(1e-290, degrees)
    points = np.concatenate([np.geomspace(1e-8, furthest, 300), np.linspace(0.1, furthest, 300)])
    found = [distributions.chi_squared_tail(x, degrees) for x in points]
    np.testing.assert_allclose(found, stats.chi2.sf(points, degrees), rtol=RELATIVE_ERROR)
    assert min(found) == pytest.approx(1e-290, rel=1e-6)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("tail", [0.999, 0.5, 0.05, 1e-3, 2e-5, 1e-12, 1e-100])
def test_chi_squared_quantile_is_that_of_scipy(degrees: int, tail: float) -> None:
    found = distributions.chi_squared_upper_quantile(tail, degrees)
    assert found == pytest.approx(stats.chi2.isf(tail, degrees), rel=1e-9)


@pytest.mark.parametrize("tail", [1 - 1e-10, 0.975, 0.5, 0.025, 1e-3, 2e-5, 1e-20, 1e-300])
def test_normal_quantile_is_that_of_scipy(tail: float) -> None:
    assert distributions.normal_upper_quantile(tail) == pytest.approx(stats.norm.isf(tail), rel=1e-9, abs=1e-15)


@OFTEN
@given(st.floats(0, 500), st.floats(0, 500), st.integers(1, 200))
def test_chi_squared_tail_never_grows_with_its_argument(one: float, other: float, degrees: int) -> None:
    low, high = sorted((one, other))
    below, above = distributions.chi_squared_tail(low, degrees), distributions.chi_squared_tail(high, degrees)
    assert 0 <= above <= below * (1 + RELATIVE_ERROR) <= 1 + RELATIVE_ERROR


def test_nothing_is_below_zero_and_no_degrees_are_refused() -> None:
    assert distributions.chi_squared_tail(0.0, 3) == 1.0
    assert distributions.chi_squared_tail(-1.0, 3) == 1.0
    with pytest.raises(ValueError, match="degree"):
        distributions.chi_squared_tail(1.0, 0)
    for tail in (0.0, 1.0):
        with pytest.raises(ValueError, match="between"):
            distributions.chi_squared_upper_quantile(tail, 1)
