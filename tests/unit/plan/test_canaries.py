"""Rollouts by chance: how often a good candidate is rolled back and a bad one is not. `bench rollouts` has many more."""

from __future__ import annotations

import pytest

from mainspring.api.v1alpha1.rollouts import Judgement
from tests import canaries
from tests.canaries import Case

ROLLOUTS = 60
FEWER = 20  # of those that need many requests


@pytest.mark.parametrize("case", [*canaries.good_candidates()], ids=lambda case: case.title)
def test_a_candidate_that_is_no_worse_is_promoted(case: Case) -> None:
    """With 1 % rolled back, more than 3 of 60 happen three times in 1,000; the seed is fixed."""
    ended = canaries.rollouts(case, FEWER if case.labelled or case.compared else ROLLOUTS)
    assert sum(end.verdict is not Judgement.PASSED for end in ended) <= 3


@pytest.mark.parametrize("case", [*canaries.bad_candidates()], ids=lambda case: case.title)
def test_a_candidate_that_is_worse_is_rolled_back(case: Case) -> None:
    ended = canaries.rollouts(case, FEWER if case.labelled or case.compared else ROLLOUTS)
    assert sum(end.verdict is not Judgement.FAILED for end in ended) <= 2


def test_what_is_drawn_follows_from_the_seed() -> None:
    case = next(canaries.bad_candidates())
    assert canaries.rollouts(case, 2) == canaries.rollouts(case, 2)
    assert canaries.rollouts(case, 2) != canaries.rollouts(case, 2, seed=2)
