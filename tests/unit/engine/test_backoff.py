from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainspring.engine import backoff
from tests.chance import SELDOM


@SELDOM
@given(st.integers(0, 10_000), st.floats(0.01, 60), st.floats(60, 600))
def test_a_pause_lies_between_half_and_all_of_what_is_due(failures: int, first: float, limit: float) -> None:
    due = min(limit, first * 2.0 ** min(max(failures, 1) - 1, 30))
    assert due / 2 <= backoff.delay(failures, first, limit) <= due


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [backoff.delay(n) for n in range(1, 50)]
    assert pauses[0] <= backoff.FIRST_SECONDS
    assert backoff.LIMIT_SECONDS / 2 <= pauses[-1] <= backoff.LIMIT_SECONDS
