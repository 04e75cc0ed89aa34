"""Which predictions got a label."""

from __future__ import annotations

import numpy as np
import pytest

from mainspring.plan.statistics import coverage
from tests import monitored

CLASSES = ["benign", "malignant"]


def judged(labelled: list[int], predicted: list[int]) -> coverage.Coverage:
    window = monitored.window(rows=sum(predicted), predicted=predicted)
    table = [[count // 2, count - count // 2] for count in labelled]
    return coverage.judge(monitored.labelled(window, rows=sum(labelled), confusion=table), CLASSES)


@pytest.mark.parametrize(
    ("labelled", "predicted", "biased"),
    [
        ([500, 500], [1000, 1000], False),
        ([300, 500], [1000, 1000], False),
        ([100, 500], [1000, 1000], True),
        ([500, 100], [1000, 1000], True),
        ([0, 500], [1000, 1000], True),
        ([1, 5], [10, 10], False),
        ([0, 0], [1000, 1000], False),
        ([240, 500], [1000, 1000], False),
    ],
)
def test_coverage_is_biased_when_it_certainly_differs_more_than_twofold(
    labelled: list[int], predicted: list[int], biased: bool
) -> None:
    assert judged(labelled, predicted).biased == biased


def test_the_sentence_names_the_classes() -> None:
    found = judged([100, 450], [1000, 500])
    assert found.explanation == (
        "37 % of rows have a label, but 90 % of rows predicted 'malignant', 10 % of those predicted 'benign': "
        "the measured quality does not speak for all rows"
    )
    assert [(c.name, c.share) for c in found.classes] == [("benign", 0.1), ("malignant", 0.9)]


def test_without_labels_or_classes_only_the_share_is_told() -> None:
    assert coverage.judge(monitored.window(rows=10), None) == coverage.Coverage(
        0.0, (), False, "0 % of rows have a label"
    )
    regression = monitored.labelled(monitored.window(rows=10), rows=5)
    assert coverage.judge(regression, None).share == 0.5
    assert coverage.judge(monitored.window(rows=0), None).share == 0.0
    silent = coverage.judge(monitored.window(rows=20, predicted=[10, 10]), CLASSES)
    assert [c.labelled for c in silent.classes] == [0, 0]


def test_labels_that_came_later_than_their_rows_do_not_exceed_all_rows() -> None:
    found = judged([30, 5], [10, 10])
    assert found.share == 1.0
    assert found.classes[0].share == 1.0


def test_a_true_ratio_of_two_is_hardly_ever_called_biased() -> None:
    random = np.random.default_rng(6)
    drawn = zip(random.binomial(1000, 0.2, 3000), random.binomial(1000, 0.4, 3000), strict=True)
    assert sum(judged([int(a), int(b)], [1000, 1000]).biased for a, b in drawn) <= 10
