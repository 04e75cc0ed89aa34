"""Metrics of a confusion table against scikit-learn, bootstrap and simulation."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from mainspring.plan.statistics import classification
from mainspring.plan.statistics.classification import F1, PRECISION, RECALL, Ratio, Table
from mainspring.plan.statistics.proportions import Interval
from tests.chance import OFTEN

RATIOS = {F1: metrics.f1_score, PRECISION: metrics.precision_score, RECALL: metrics.recall_score}
TWO = st.lists(st.lists(st.integers(0, 60), min_size=2, max_size=2), min_size=2, max_size=2)
THREE = st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=3, max_size=3)


def rows(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes, row by row."""
    predicted, actual = np.indices((len(table), len(table)))
    times = np.ravel(table)
    return np.repeat(actual.ravel(), times), np.repeat(predicted.ravel(), times)


def is_sound(found: Interval | None) -> bool:
    return found is not None and 0 <= found.lower <= found.value <= found.upper <= 1 and found.lower < found.upper


@OFTEN
@given(THREE)
def test_accuracy_is_that_of_scikit_learn(table: Table) -> None:
    assume(np.sum(table))
    found = classification.accuracy(table)
    assert is_sound(found)
    assert found is not None
    assert found.value == pytest.approx(metrics.accuracy_score(*rows(table)))


@pytest.mark.parametrize("ratio", RATIOS)
@OFTEN
@given(table=TWO)
def test_metrics_of_the_positive_class_are_those_of_scikit_learn(ratio: Ratio, table: Table) -> None:
    found = classification.of_class(ratio, table, 1)
    if found is not None:
        assert is_sound(found)
        assert found.value == pytest.approx(RATIOS[ratio](*rows(table), zero_division=0.0))


@pytest.mark.parametrize("ratio", [F1, PRECISION])
@OFTEN
@given(table=THREE)
def test_macro_means_are_those_of_scikit_learn(ratio: Ratio, table: Table) -> None:
    assume(np.sum(table))
    found = classification.macro(ratio, table)
    assert is_sound(found)
    assert found is not None
    assert found.value == pytest.approx(RATIOS[ratio](*rows(table), average="macro", zero_division=0.0))


@OFTEN
@given(THREE)
def test_macro_recall_is_balanced_accuracy(table: Table) -> None:
    assume(np.sum(table))
    found = classification.macro(RECALL, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are predicted and never occur
        expected = metrics.balanced_accuracy_score(*rows(table))
    assert is_sound(found)
    assert found is not None
    assert found.value == pytest.approx(expected)


@OFTEN
@given(THREE, st.permutations(range(3)))
def test_the_order_of_classes_changes_nothing(table: Table, order: list[int]) -> None:
    assume(np.sum(table))
    turned = [[table[i][j] for j in order] for i in order]
    for ratio in RATIOS:
        one, other = classification.macro(ratio, table), classification.macro(ratio, turned)
        assert one is not None
        assert other is not None
        assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper))


def test_what_is_undefined_has_no_interval() -> None:
    empty = [[0, 0], [0, 0]]
    assert classification.accuracy(empty) is None
    assert all(classification.macro(ratio, empty) is None for ratio in RATIOS)
    assert classification.of_class(PRECISION, [[5, 5], [0, 0]], 1) is None
    assert classification.of_class(RECALL, [[5, 0], [5, 0]], 1) is None
    assert classification.of_class(F1, [[5, 0], [0, 0]], 1) is None


SHARES = np.array([[0.55, 0.04, 0.02], [0.03, 0.2, 0.03], [0.02, 0.02, 0.09]])
PAIR = np.array([[0.6, 0.08], [0.05, 0.27]])


@pytest.mark.parametrize(
    ("shares", "measure"),
    [
        (SHARES, classification.accuracy),
        (SHARES, lambda table: classification.macro(F1, table)),
        (SHARES, lambda table: classification.macro(PRECISION, table)),
        (SHARES, lambda table: classification.macro(RECALL, table)),
        (PAIR, lambda table: classification.of_class(F1, table, 1)),
        (PAIR, lambda table: classification.of_class(PRECISION, table, 1)),
        (PAIR, lambda table: classification.of_class(RECALL, table, 1)),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    shares: np.ndarray, measure: Callable[[Table], Interval | None]
) -> None:
    random = np.random.default_rng(3)
    truth = measure((shares * 1_000_000).round().astype(int).tolist())
    assert truth is not None
    held = 0
    for cells in random.multinomial(500, shares.ravel(), 1500):
        found = measure(cells.reshape(shares.shape).tolist())
        assert found is not None
        held += found.lower <= truth.value <= found.upper
    assert 0.93 <= held / 1500 <= 0.975
