"""Metrics of errors against scikit-learn and simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from mainspring.api.monitoring import ErrorSums, LabelMoments
from mainspring.plan.statistics import regression
from mainspring.plan.statistics.proportions import Interval
from tests.chance import OFTEN

Measure = Callable[[ErrorSums], Interval | None]
MEASURES: dict[Measure, Callable[[np.ndarray, np.ndarray], float]] = {
    regression.mean_absolute_error: metrics.mean_absolute_error,
    regression.root_mean_squared_error: metrics.root_mean_squared_error,
    regression.r2: metrics.r2_score,
}


def sums(labels: np.ndarray, predictions: np.ndarray, moments: bool = True) -> ErrorSums:
    errors = predictions - labels
    return ErrorSums(
        rows=len(labels),
        absolute=float(np.abs(errors).sum()),
        squared=float((errors**2).sum()),
        fourth=float((errors**4).sum()),
        labels=float(labels.sum()),
        labels_squared=float((labels**2).sum()),
        moments=moments_of(labels, errors) if moments else None,
    )


def moments_of(labels: np.ndarray, errors: np.ndarray) -> LabelMoments:
    return LabelMoments(
        rows=len(labels),
        third=float((labels**3).sum()),
        fourth=float((labels**4).sum()),
        squared_errors_labels=float((errors**2 * labels).sum()),
        squared_errors_labels_squared=float((errors**2 * labels**2).sum()),
    )


@OFTEN
@given(st.integers(0, 10_000), st.integers(2, 300), st.floats(-50, 50), st.floats(0.1, 10))
def test_values_are_those_of_scikit_learn_and_lie_in_their_intervals(
    seed: int, rows: int, mean: float, noise: float
) -> None:
    random = np.random.default_rng(seed)
    labels = random.normal(mean, 3, rows)
    predictions = labels + random.normal(0.2, noise, rows)
    for measure, expected in MEASURES.items():
        found = measure(sums(labels, predictions))
        assert found is not None
        assert found.value == pytest.approx(expected(labels, predictions), rel=1e-6, abs=1e-8)
        assert found.lower <= found.value <= found.upper
        assert found.rows == rows


def test_errors_never_fall_below_zero_and_r2_never_exceeds_one() -> None:
    labels = np.array([1.0, 2.0, 3.0])
    found = [measure(sums(labels, labels + np.array([0.0, 0.0, 9.0]))) for measure in MEASURES]
    assert all(interval is not None for interval in found)
    mae, rmse, r2 = (interval for interval in found if interval is not None)
    assert mae.lower == 0.0
    assert rmse.lower > 0.0
    assert r2.upper < 1.0


def test_without_rows_or_spread_there_is_nothing_to_say() -> None:
    assert all(measure(sums(np.array([1.0]), np.array([2.0]))) is None for measure in MEASURES)
    constant = sums(np.full(50, 0.1), np.linspace(0, 1, 50))
    assert regression.r2(constant) is None
    assert regression.mean_absolute_error(constant) is not None


def test_a_model_without_errors_is_perfect() -> None:
    labels = np.arange(10.0)
    found = {measure: measure(sums(labels, labels)) for measure in MEASURES}
    assert found[regression.root_mean_squared_error] == Interval(0.0, 0.0, 0.0, 10)
    assert found[regression.r2] == Interval(1.0, 1.0, 1.0, 10)


def drawn(random: np.random.Generator, labels: str, proportional: bool, rows: int) -> tuple[np.ndarray, np.ndarray]:
    made = {"uniform": lambda: random.uniform(0, 10, rows), "exponential": lambda: random.exponential(3, rows)}[
        labels
    ]()
    return made, made + random.normal(0, 1, rows) * (0.3 * made if proportional else 1.0)


@pytest.mark.parametrize("labels", ["uniform", "exponential"])
@pytest.mark.parametrize("proportional", [False, True])
def test_moments_of_labels_keep_the_interval_of_r2_honest(labels: str, proportional: bool) -> None:
    random = np.random.default_rng(14)
    truth = regression.r2(sums(*drawn(random, labels, proportional, 2_000_000)))
    assert truth is not None
    held = 0
    for _ in range(1500):
        found = regression.r2(sums(*drawn(random, labels, proportional, 1000)))
        assert found is not None
        held += found.lower <= truth.value <= found.upper
    assert 0.925 <= held / 1500 <= 0.975


def test_moments_of_some_servers_only_are_not_used() -> None:
    labels, predictions = drawn(np.random.default_rng(15), "exponential", True, 1000)
    every, none = sums(labels, predictions), sums(labels, predictions, moments=False)
    assert every.moments is not None
    some = every.model_copy(update={"moments": every.moments.model_copy(update={"rows": 900})})
    assert regression.r2(some) == regression.r2(none) != regression.r2(every)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("errors", ["normal", "laplace"])
def test_intervals_hold_the_truth_as_often_as_they_say(measure: Measure, errors: str) -> None:
    random = np.random.default_rng(5)
    big_labels = random.normal(10, 3, 2_000_000)
    truth = measure(sums(big_labels, big_labels + getattr(random, errors)(0, 1, 2_000_000)))
    assert truth is not None
    held = 0
    for _ in range(1500):
        labels = random.normal(10, 3, 500)
        found = measure(sums(labels, labels + getattr(random, errors)(0, 1, 500)))
        assert found is not None
        held += found.lower <= truth.value <= found.upper
    assert 0.925 <= held / 1500 <= 0.975
