"""What a bin is called."""

from __future__ import annotations

import pytest

from mainspring.plan.statistics import bins
from mainspring.plan.statistics.divergence import Samples
from tests import monitored


@pytest.mark.parametrize(
    ("kind", "edges", "names"),
    [
        ("Float", [1.5, 20.123], ["below 1.5", "from 1.5 to 20.12", "above 20.12", "missing"]),
        ("Integer", [0.5, 1.5], ["up to 0", "equal to 1", "of 2 or more", "missing"]),
        ("Integer", [3.0, 7.25], ["up to 2", "from 3 to 7", "of 8 or more", "missing"]),
        ("Boolean", [0.5], ["false", "true", "missing"]),
        ("Timestamp", [19723.0], ["below 2024-01-01", "above 2024-01-01", "missing"]),
        ("Timestamp", [1e9], ["below 1e+09", "above 1e+09", "missing"]),
        ("Float", [], ["present", "missing"]),
    ],
)
def test_bins_of_numbers_are_named_by_their_edges(kind: str, edges: list[float], names: list[str]) -> None:
    column = monitored.numbers("x", edges, [0] * (len(edges) + 1), kind)
    assert [bins.name_of(column, index) for index in range(len(edges) + 2)] == names


def test_bins_of_categories_are_named_by_them() -> None:
    column = monitored.categories("colour", ["red", "blue"], [1, 2, 3])
    names = ["'red'", "'blue'", "with another known value", "with a value that training never saw", "missing"]
    assert [bins.name_of(column, index) for index in range(5)] == names


def test_unseen_values_are_a_bin_of_their_own_beside_the_other_known_ones() -> None:
    column = monitored.categories("colour", ["red", "blue"], [10, 20, 7], unseen=1, missing=2)
    reference = monitored.reference(column)
    found = bins.of_column(reference, column, monitored.column("colour", [5, 5, 9], unseen=9, missing=4), 23)
    assert found == Samples((10, 20, 6, 1, 2), (5, 5, 0, 9, 4))


def test_a_string_is_present_or_missing() -> None:
    column = monitored.ReferenceColumn(name="note", kind="String", missing=30)
    reference = monitored.reference(column, rows=100)
    assert bins.of_column(reference, column, monitored.column("note", missing=5), 50) == Samples((70, 30), (45, 5))
    assert [bins.name_of(column, index) for index in range(2)] == ["present", "missing"]


def test_predictions_are_named_by_their_edges_or_classes() -> None:
    assert bins.name_of_prediction(monitored.probabilities([0.5], [1, 1]), 1) == "above 0.5"
    classes = monitored.ReferencePrediction(
        output="predict", source="HeldOut", rows=2, classes=["a", "b"], counts=[1, 1]
    )
    assert bins.name_of_prediction(classes, 1) == "'b'"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.314, "31 %"),
        (0.04, "4 %"),
        (0.0123, "1.2 %"),
        (0.00042, "0.042 %"),
        (1e-6, "under 0.01 %"),
    ],
)
def test_what_is_not_zero_does_not_look_like_it(share: float, text: str) -> None:
    assert bins.percent(share) == text
