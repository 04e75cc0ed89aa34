from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve.pace import Pace

calls = st.lists(st.tuples(st.integers(1, 1000), st.floats(1e-4, 10.0)), min_size=1, max_size=60)


def after(*seen: tuple[int, float]) -> Pace:
    pace = Pace()
    for rows, seconds in seen:
        pace.learn(rows, seconds)
    return pace


def test_nothing_is_expected_before_anything_was_seen() -> None:
    assert Pace().expect(1000) == 0


@given(calls)
def test_more_rows_never_take_less_time(seen: list[tuple[int, float]]) -> None:
    pace = after(*seen)
    expected = [pace.expect(rows) for rows in (1, 2, 10, 1000)]
    assert expected == sorted(expected)


@given(calls, st.integers(1, 1000), st.floats(1e-3, 10.0))
def test_a_change_of_pace_is_learned(seen: list[tuple[int, float]], rows: int, seconds: float) -> None:
    pace = after(*seen, *[(rows, seconds)] * 300)
    assert pace.expect(rows) == pytest.approx(seconds, rel=0.01)


def test_one_row_of_a_call_with_a_fixed_part_is_not_underrated() -> None:
    """100 ms, and 1 ms for each row."""
    pace = after(*[(rows, 0.1 + rows * 0.001) for rows in (1, 60, 100, 80)])
    assert pace.expect(1) > 0.1


def test_calls_that_grow_are_rated_better_and_better() -> None:
    """So a batch that was kept small by a pace of small calls grows call by call."""
    pace, rows = after((1, 1.0)), 1
    sizes = []
    while rows < 256:
        rows = min(max(int(4.0 / pace.expect(1_000_000) * 1_000_000), rows), 256)
        pace.learn(rows, 1.0 + rows * 0.001)
        sizes.append(rows)
    assert len(sizes) < 10, sizes
