from __future__ import annotations

import numpy as np
import pytest

from mainspring_runtime.model import labels


@pytest.mark.parametrize(
    ("probability", "threshold", "chosen"),
    [(0.6, 0.5, 1), (0.4, 0.5, 0), (0.5, 0.5, 0), (0.5 + 1e-7, 0.5, 0), (0.31, 0.3, 1), (0.29, 0.3, 0)],
)
def test_two_classes_are_decided_by_the_threshold_and_ties_go_to_the_negative(
    probability: float, threshold: float, chosen: int
) -> None:
    scores = np.array([[1 - probability, probability]])
    assert labels.decide(scores, positive=1, threshold=threshold).tolist() == [chosen]


def test_the_positive_class_may_come_first() -> None:
    assert labels.decide(np.array([[0.7, 0.3], [0.3, 0.7]]), positive=0, threshold=0.6).tolist() == [0, 1]


def test_of_equally_likely_classes_the_first_one_wins_whatever_the_last_bit_says() -> None:
    scores = np.array([[0.2, 0.4, 0.4 + 1e-9], [0.2, 0.3, 0.5]])
    assert labels.decide(scores, positive=1, threshold=0.5).tolist() == [1, 2]


def test_whole_number_classes_stay_numbers_and_others_are_strings() -> None:
    assert labels.as_array((0, 1)).dtype == np.int64
    assert labels.as_array(("a", "b")).tolist() == ["a", "b"]
