"""What a window is compared with: reference rows, a season that was well, or the same part of one."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.api.v1alpha1.modelmonitor import Baseline, Drift, ModelMonitorSpec
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring.plan.common import objects
from mainspring.plan.modelmonitor import baseline
from mainspring.plan.modelmonitor.state import Part, State
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.performance import Performance, Verdict
from tests import monitored
from tests.builders import NOW

HOUR = 3600.0
REFERENCE = monitored.reference(monitored.numbers("x", [1.0], [100, 100]))


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def counted(low: int, high: int) -> WindowCounts:
    return monitored.window(monitored.column("x", [low, high]))


def part(start: float, end: float, low: int = 50, high: int = 50) -> Part:
    return Part(start=objects.format_time(at(start)), end=objects.format_time(at(end)), counts=counted(low, high))


def closed(start: float, end: float) -> Closed:
    return Closed(1, objects.format_time(at(start)), objects.format_time(at(end)), counted(10, 10), True)


def spec(kind: Baseline = Baseline.TRAINING) -> ModelMonitorSpec:
    return ModelMonitorSpec(service="m", drift=Drift(baseline=kind))


def state(**fields: Any) -> State:
    return State(version="m-v2", digest=monitored.DIGEST, opened=objects.format_time(NOW), **fields)


def measured(verdict: Verdict) -> Performance:
    return Performance(Metric.ACCURACY, verdict, 500, None, "")


# Four quarters of a day; mornings are low, evenings high.
SEASON = [part(0, 6, 80, 20), part(6, 12, 60, 40), part(12, 18, 40, 60), part(18, 24, 20, 80)]


@pytest.mark.parametrize(
    ("kind", "follows", "verdict", "parts"),
    [
        (Baseline.TRAINING, True, Verdict.MET, 1),
        (Baseline.TRAINING, True, Verdict.DEGRADED, 0),
        (Baseline.TRAINING, True, Verdict.INSUFFICIENT, 0),
        (Baseline.TRAINING, True, None, 0),  # not measured: nothing is proved
        (Baseline.TRAINING, False, Verdict.MET, 0),  # the first version is compared with what it learned from
        (Baseline.SAME_PHASE, False, Verdict.MET, 4),
        (Baseline.SAME_PHASE, False, None, 4),
        (Baseline.SAME_PHASE, True, Verdict.DEGRADED, 0),
    ],
)
def test_a_season_takes_the_place_of_the_reference_rows_only_when_it_was_well(
    kind: Baseline, follows: bool, verdict: Verdict | None, parts: int
) -> None:
    found = measured(verdict) if verdict else None
    settled = baseline.settled(spec(kind), state(follows=follows), SEASON, found)
    assert len(settled) == parts
    if parts:
        assert (settled[0].start, settled[-1].end) == (SEASON[0].start, SEASON[-1].end)
        assert sum(part.counts.rows for part in settled) == 400


def test_nothing_is_settled_before_a_season_is_full() -> None:
    assert baseline.settled(spec(), state(follows=True), [], measured(Verdict.MET)) == []


def test_it_is_settled_once() -> None:
    before = state(follows=True, baseline=[part(-24, 0)])
    assert baseline.settled(spec(), before, SEASON, measured(Verdict.MET)) == before.baseline


def test_without_a_baseline_the_reference_rows_count() -> None:
    assert baseline.for_window(spec(), state(), closed(0, 1), REFERENCE) is REFERENCE
    assert baseline.for_season(spec(), state(), REFERENCE) is REFERENCE
    assert baseline.described(spec(), state()) is None


def test_a_settled_season_takes_their_place() -> None:
    now = state(follows=True, baseline=[part(0, 24, 30, 170)])
    for found in (
        baseline.for_window(spec(), now, closed(25, 26), REFERENCE),
        baseline.for_season(spec(), now, REFERENCE),
    ):
        assert (found.columns[0].counts, found.rows, found.digest) == ([30, 170], 200, REFERENCE.digest)
    told = baseline.described(spec(), now)
    assert told is not None
    assert (told.start, told.rows) == (objects.format_time(at(0)), 200)


@pytest.mark.parametrize(
    ("start", "end", "counts"),
    [
        (24, 25, [80, 20]),
        (29, 30, [80, 20]),
        (29, 31, [140, 60]),
        (72 + 20, 72 + 21, [20, 80]),
        (47, 49, [100, 100]),  # from one season into the next
        (24, 50, [200, 200]),  # more than a season
    ],
)
def test_a_window_is_compared_with_the_same_part_of_the_season(start: float, end: float, counts: list[int]) -> None:
    now = state(baseline=SEASON)
    found = baseline.for_window(spec(Baseline.SAME_PHASE), now, closed(start, end), REFERENCE)
    assert found.columns[0].counts == counts
    whole = baseline.for_season(spec(Baseline.SAME_PHASE), now, REFERENCE)
    assert whole.columns[0].counts == [200, 200]


def test_a_season_learned_for_the_same_phase_is_of_no_use_to_training_before_a_promotion() -> None:
    assert baseline.for_window(spec(), state(baseline=SEASON), closed(25, 26), REFERENCE) is REFERENCE


@given(
    cuts=st.lists(st.floats(0.5, 23.5), min_size=0, max_size=7, unique=True),
    start=st.floats(24, 500),
    length=st.floats(0.05, 30),
)
def test_every_moment_of_a_window_lies_in_one_of_the_parts_it_is_compared_with(
    cuts: list[float], start: float, length: float
) -> None:
    edges = [0.0, *sorted(cuts), 24.0]
    season = [part(a, b) for a, b in itertools.pairwise(edges)]
    chosen = baseline.same_phase(season, at(start), at(start + length), 24 * HOUR)
    for step in range(11):
        moment = (start + length * (0.01 + 0.098 * step)) % 24
        inside = [p for p in season if _hours(p.start) <= moment < _hours(p.end)]
        assert all(p in chosen for p in inside)


def _hours(text: str) -> float:
    return (objects.parse_time(text) - NOW).total_seconds() / HOUR
