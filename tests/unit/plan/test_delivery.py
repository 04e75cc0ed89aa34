from __future__ import annotations

from typing import Any

import pytest

from mainspring.plan.inferenceservice import delivery as of_service
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


@pytest.mark.parametrize(
    ("reason", "ratio"), [("RolledBack", 1 / 3), ("Aborted", 1 / 3), ("Superseded", 0.0), ("RolledBackByPin", 0.0)]
)
def test_a_candidate_that_had_answered_and_was_rejected_is_a_change_that_failed(reason: str, ratio: float) -> None:
    rejected = {"version": "big-v-v3", "to": "Rejected", "reason": reason}
    told = [*history(1, 2), rejected]
    assert delivery.change_failure_ratio(told) == pytest.approx(ratio)
    assert delivery.rollbacks(told) == 0, "the champion never moved"


def rollouts(*outcomes: str) -> list[dict[str, str]]:
    """`Back`: promoted, since it had served before."""
    promoted = {"outcome": "Promoted", "reason": "ServedBefore"}
    return [promoted if outcome == "Back" else {"outcome": outcome, "reason": ""} for outcome in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "ratio"),
    [
        ([], None),
        (["Failed", "Superseded"], None),
        (["Promoted", "Promoted"], 0.0),
        (["Promoted", "RolledBack"], 0.5),
        (["Promoted", "Aborted", "Failed"], 0.5),
        (["Promoted", "Promoted", "Back"], 0.5),
        (["Promoted", "Promoted", "Back", "Back"], 0.5),  # going further back is no second failure
        (["Back"], None),  # what it took back is not kept any more
    ],
)
def test_a_change_of_a_service_failed_when_it_was_not_taken_or_taken_back(
    outcomes: list[str], ratio: float | None
) -> None:
    assert of_service.failure_ratio(rollouts(*outcomes)) == (ratio if ratio is None else pytest.approx(ratio))
