from __future__ import annotations

from typing import Any

import pytest

from mainspring.plan.model import delivery


def history(*numbers: int, told: bool = True) -> list[dict[str, Any]]:
    """The champions one after the other; `told`: each entry says which one came before."""
    entries: list[dict[str, Any]] = []
    for number in numbers:
        entry = {"version": f"big-v-v{number}", "to": "Champion"}
        entries.append(entry | ({"from": entries[-1]["version"]} if entries and told else {}))
    return entries


@pytest.mark.parametrize(
    ("champions", "rollbacks", "ratio"),
    [
        ((), 0, None),
        ((1,), 0, 0.0),
        ((1, 2, 3), 0, 0.0),
        ((1, 2, 1), 1, 0.5),
        ((1, 2, 1, 3), 1, 1 / 3),
        ((1, 2, 3, 2, 1), 2, 1 / 3),  # going further back is no second failure
        ((9, 10, 9), 1, 0.5),  # numbers, not letters
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_a_change_failed_when_the_next_move_went_back(
    champions: tuple[int, ...], rollbacks: int, ratio: float | None, told: bool
) -> None:
    found = history(*champions, told=told)
    assert delivery.rollbacks(found) == rollbacks
    assert delivery.change_failure_ratio(found) == (ratio if ratio is None else pytest.approx(ratio))


def test_the_oldest_move_that_is_kept_still_says_where_it_came_from() -> None:
    kept = history(3, 2)[1:]
    assert delivery.rollbacks(kept) == 1
    assert delivery.change_failure_ratio(kept) is None, "the change that it took back is no longer there"
