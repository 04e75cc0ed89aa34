"""What there is to learn since the version that a champion was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.plan.common.newrows import Evidence, new_rows_since
from mainspring.plan.common.objects import Object, name
from tests import builders


def version(number: int, rows: int = 0, total: int = 0, *, since: int | None = None, cut: bool = False) -> Object:
    """Version `number` with `rows` new ones since the version `since`; its newest row is of minute `number`."""
    spec = {"dataCut": builders.at(number)} if cut else {}
    if since is None:
        return builders.dataset_version(str(number), **spec)
    new = {"since": named(since), "rows": rows, "by": "Key", "total": total}
    return builders.dataset_version(str(number), newRows=new, **spec)


def named(number: int) -> str:
    return name(builders.dataset_version(str(number)))


def chain(*rows: int, cut: bool = False) -> list[Object]:
    """Version 0, and for each of `rows` one that has so many new rows."""
    later = [version(n, new, sum(rows[:n]), since=n - 1, cut=cut) for n, new in enumerate(rows, start=1)]
    return [version(0, cut=cut), *later]


def without(versions: Sequence[Object], *gone: int) -> list[Object]:
    return [v for v in versions if name(v) not in {named(number) for number in gone}]


FOUR = chain(10, 20, 30, 40)


@pytest.mark.parametrize(
    ("versions", "current", "trained_on", "expected"),
    [
        (FOUR, 4, 4, Evidence(0, exact=True)),
        (FOUR, 4, 3, Evidence(40, exact=True)),
        (FOUR, 4, 0, Evidence(100, exact=True)),
        (FOUR, 2, 0, Evidence(30, exact=True)),
        # The champion's version is gone, but the next one names it.
        (without(FOUR, 1), 4, 1, Evidence(90, exact=True)),
        # A version in between is gone: the totals bridge it.
        (without(FOUR, 2), 4, 1, Evidence(90, exact=False)),
        (without(FOUR, 2, 3), 4, 0, Evidence(100, exact=False)),
        # Both are gone: what is left of the chain.
        (without(FOUR, 1, 2), 4, 1, Evidence(70, exact=False)),
        # The champion is ahead: the data went back to what they were.
        (FOUR, 2, 4, Evidence(0, exact=False)),
        # Another branch: only what it has more than the champion's is sure.
        ([*FOUR, version(5, 45, 75, since=2)], 5, 3, Evidence(15, exact=False)),
        # Versions from before rows were counted.
        ([version(0), version(1), version(2, 7, 7, since=1)], 2, 0, Evidence(7, exact=False)),
        (FOUR, 9, 0, Evidence(0, exact=False)),
        ([], 4, 0, Evidence(0, exact=False)),
        # Somebody wrote a circle.
        ([version(1, 5, 5, since=2), version(2, 5, 5, since=1)], 2, 7, Evidence(10, exact=False)),
    ],
)
def test_new_rows_are_summed_after_the_version_that_was_trained_on(
    versions: list[Object], current: int, trained_on: int, expected: Evidence
) -> None:
    assert new_rows_since(versions, named(current), trained_on=named(trained_on)) == expected


TIMED = chain(10, 20, 30, cut=True)  # version n is of minute n


@pytest.mark.parametrize(
    ("versions", "minute", "expected"),
    [
        (TIMED, 0, 60),
        (TIMED, 1, 50),
        (TIMED, 1.5, 30),
        (TIMED, 3, 0),
        (TIMED, 9, 0),
        (without(TIMED, 1), 0, 30),
        (chain(10, 20), 0, 0),
    ],
)
def test_a_model_from_elsewhere_is_compared_by_its_data_cut(
    versions: list[Object], minute: float, expected: int
) -> None:
    found = new_rows_since(versions, name(versions[-1]), data_cut=builders.at(minute))
    assert found == Evidence(expected, exact=False)


def test_the_name_counts_before_the_data_cut() -> None:
    found = new_rows_since(TIMED, named(3), trained_on=named(2), data_cut=builders.at(0))
    assert found == Evidence(30, exact=True)


def test_of_a_model_of_which_nothing_is_known_everything_is_new() -> None:
    assert new_rows_since(FOUR, named(4)) == Evidence(100, exact=False)


def test_evidence_says_whether_it_is_exact() -> None:
    assert str(Evidence(7, exact=True)) == "7 new labelled rows"
    assert str(Evidence(7, exact=False)) == "at least 7 new labelled rows"


@given(
    rows=st.lists(st.integers(0, 1000), min_size=1, max_size=8),
    gone=st.sets(st.integers(0, 8)),
    start=st.integers(0, 8),
    shuffled=st.randoms(use_true_random=False),
)
def test_whatever_is_gone_the_count_is_never_too_high_and_exact_only_if_it_is_right(
    rows: list[int], gone: set[int], start: int, shuffled: Random
) -> None:
    last = len(rows)
    start = min(start, last)
    versions = without(chain(*rows), *(gone - {last}))
    shuffled.shuffle(versions)
    truth = sum(rows[start:])
    found = new_rows_since(versions, named(last), trained_on=named(start))
    assert found.rows <= truth
    assert found.rows == truth or not found.exact
    assert found.rows == truth or start in gone
