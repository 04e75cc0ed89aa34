"""Data that comes in worse than it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.plan.statistics import quality
from mainspring.plan.statistics.quality import Allowed, Check, Finding
from tests import monitored
from tests.chance import OFTEN

USUAL = Allowed()
REFERENCE = monitored.reference(
    monitored.numbers("age", [50.0], [490, 490], missing=20),
    monitored.categories("colour", ["red"], [900, 100]),
    monitored.ReferenceColumn(name="note", kind="String", missing=100),
    rows=1000,
)


def judged(allowed: Allowed = USUAL, **columns: dict[str, int]) -> dict[tuple[str, Check], Finding]:
    good = {"age": [450, 450], "colour": [800, 100], "note": []}
    counted = [monitored.column(name, counts, **columns.get(name, {})) for name, counts in good.items()]
    window = monitored.window(*counted, rows=900)
    return {(found.column, found.check): found for found in quality.judge(REFERENCE, window, allowed)}


def test_each_kind_of_column_has_its_checks() -> None:
    assert set(judged()) == {
        ("age", Check.MISSING),
        ("age", Check.OUT_OF_RANGE),
        ("colour", Check.MISSING),
        ("colour", Check.UNSEEN),
        ("note", Check.MISSING),
    }


@pytest.mark.parametrize(
    ("column", "check", "counts", "text"),
    [
        (
            "age",
            Check.MISSING,
            {"missing": 150},
            "age: 14 % of rows missing, 2 % in the reference; 5 % more are allowed",
        ),
        (
            "age",
            Check.OUT_OF_RANGE,
            {"out_of_range": 90},
            "age: 10 % of rows outside the range of training, 0 % in the reference; 2 % more are allowed",
        ),
        (
            "colour",
            Check.UNSEEN,
            {"unseen": 45},
            "colour: 5 % of rows with a value that training never saw, 0 % in the reference; 1 % more are allowed",
        ),
        (
            "note",
            Check.MISSING,
            {"missing": 300},
            "note: 33 % of rows missing, 10 % in the reference; 5 % more are allowed",
        ),
    ],
)
def test_what_certainly_grew_by_more_than_is_allowed_is_degraded(
    column: str, check: Check, counts: dict[str, int], text: str
) -> None:
    found = judged(**{column: counts})
    assert [key for key, finding in found.items() if finding.degraded] == [(column, check)]
    assert found[column, check].explanation == text


def test_what_may_have_grown_by_chance_is_not() -> None:
    found = judged(age={"missing": 85, "out_of_range": 25}, colour={"unseen": 15})
    assert found["age", Check.MISSING].share - 0.02 > 0.05
    assert not any(finding.degraded for finding in found.values())


def test_coercion_is_checked_only_when_asked_for() -> None:
    found = judged(Allowed(coerced=0.1), age={"coerced": 450})
    assert found["age", Check.COERCED].degraded
    assert found["age", Check.COERCED].share == 0.5


def test_a_check_that_is_switched_off_and_an_excluded_column_are_not_judged() -> None:
    assert not any(check is Check.MISSING for _, check in judged(Allowed(missing=None)))
    window = monitored.window(monitored.column("age", [0, 0], missing=900))
    assert quality.judge(REFERENCE, window, Allowed(), ["age"]) == ()


def test_a_window_without_rows_says_nothing() -> None:
    found = quality.judge(REFERENCE, monitored.window(monitored.column("age", [0, 0])), Allowed())
    assert [(finding.share, finding.degraded) for finding in found] == [(0.0, False), (0.0, False)]


def test_a_window_over_other_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256:other"):
        quality.judge(REFERENCE, monitored.window(digest="sha256:other"), Allowed())


@OFTEN
@given(st.integers(0, 900), st.integers(1, 500))
def test_more_missing_values_never_look_better(missing: int, more: int) -> None:
    one, other = (judged(age={"missing": number})["age", Check.MISSING] for number in (missing, missing + more))
    assert other.least >= one.least - 1e-12
    assert one.degraded <= other.degraded


def test_an_increase_of_just_what_is_allowed_alarms_no_more_often_than_the_level() -> None:
    random = np.random.default_rng(2)
    alarms = 0
    for missing in random.binomial(1000, 0.07, 4000):
        window = monitored.window(monitored.column("age", [1000 - int(missing), 0], missing=int(missing)))
        alarms += any(finding.degraded for finding in quality.judge(REFERENCE, window, Allowed()))
    assert alarms <= 12  # 4 are expected at level 0.001
