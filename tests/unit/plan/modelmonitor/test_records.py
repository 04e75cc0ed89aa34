"""What is remembered of windows: each once, in their order, within bounds, and enough to see again what was judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.plan.common.conditions import Condition
from mainspring.plan.modelmonitor import records
from mainspring.plan.modelmonitor.evaluation import Evaluation
from mainspring.plan.modelmonitor.state import State
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics import drift, quality
from mainspring.plan.statistics.drift import FeatureDrift, Streak
from tests import builders, monitored

REFERENCE = monitored.reference(
    monitored.numbers("radius", [1, 2], [400, 300, 300]), monitored.categories("stage", ["I", "II"], [500, 500, 0])
)
COUNTS = monitored.window(
    monitored.column("radius", [100, 300, 600]), monitored.column("stage", [500, 480, 20], unseen=20)
)


def closed(number: int, enough: bool = True) -> Closed:
    """Windows of ten minutes, one after the other."""
    return Closed(number, builders.at(10 * number), builders.at(10 * number + 10), COUNTS, enough)


def result(*moved: FeatureDrift) -> Evaluation:
    state = State(version="m-v1", digest=monitored.DIGEST, opened=builders.at(0))
    broken = (Condition("QualityDegraded", "True", "InputsDegraded"),)
    return Evaluation(
        state=state,
        moved=moved or drift.judge(REFERENCE, COUNTS, {}, ""),
        expected=REFERENCE,
        findings=quality.judge(REFERENCE, COUNTS, quality.Allowed(out_of_range=0.0)),
        features=(),
        drifted=0,
        performance=None,
        conditions=broken,
        evidence={},
        recovered=frozenset(),
    )


def move(name: str, psi: float = 0.3, drifts: bool = False) -> FeatureDrift:
    streak = Streak(builders.at(0), 2) if drifts else None
    return FeatureDrift(name, 9.0, 3, 1e-9, 1e-9, psi, 0.1, 0.2, True, streak, "")


def after(data: dict[str, str] | None, window: Closed, found: Evaluation | None = None) -> dict[str, str]:
    return records.with_window({"data": data} if data else None, window, "m-v1", found or result())


def numbers(data: dict[str, str]) -> list[int]:
    return [record.number for record in records.read({"data": data})]


def test_windows_stand_in_their_order() -> None:
    data = after(after(None, closed(1)), closed(2))
    assert numbers(data) == [1, 2]
    (record, _) = records.read({"data": data})
    assert (record.rows, record.judged, record.inputs_degraded, record.version) == (1000, True, True, "m-v1")


def test_a_window_that_ends_again_takes_its_own_place() -> None:
    data = after(after(None, closed(1)), closed(2))
    again = replace(closed(2), end=builders.at(31))
    data = after(data, again)
    assert numbers(data) == [1, 2]
    assert records.read({"data": data})[-1].end == builders.at(31)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_however_often_it_is_written_each_window_is_there_once(kills: list[int]) -> None:
    """A kill before the memory was written lets the window end once more, one before the history was written, too."""
    data: dict[str, str] | None = None
    for number, times in enumerate(kills, 1):
        for _ in range(times + 1):
            data = after(data, closed(number))
    assert data is not None
    assert numbers(data) == list(range(1, len(kills) + 1))


def test_moves_are_kept_by_name_in_thousandths() -> None:
    data = after(None, closed(1), result(move("radius", 0.3456, drifts=True), move("")))
    (record,) = records.read({"data": data})
    assert record.moves == {"radius": (346, 100, True), "": (300, 100, False)}


def test_only_so_many_windows_are_kept_the_newest_ones() -> None:
    data: dict[str, str] | None = None
    for number in range(1, records.WINDOWS_MAX + 6):
        data = after(data, closed(number))
    assert data is not None
    assert numbers(data) == list(range(6, records.WINDOWS_MAX + 6))


def test_long_names_of_many_features_do_not_break_the_bound() -> None:
    data: dict[str, str] | None = None
    for number in range(1, 90):
        names = (f"{'温' * 120}{number:03}{place:02}" for place in range(60))
        data = after(data, closed(number), result(*map(move, names)))
        assert sum(len(text.encode()) for text in data.values()) <= records.MAX_BYTES
    assert data is not None
    found = numbers(data)
    assert found[-1] == 89
    assert found == list(range(found[0], 90))
    assert len(found) > 20


def test_the_last_judged_window_can_be_judged_again() -> None:
    last = records.read_last({"data": after(None, closed(1))})
    assert last is not None
    assert drift.judge(last.expected, last.counts, {}, "") == result().moved


def test_what_was_wrong_with_values_is_kept() -> None:
    last = records.read_last({"data": after(None, closed(1))})
    assert last is not None
    assert [(d.column, d.check, d.share, d.degraded) for d in last.defects] == [("stage", "unseen", 0.02, False)]


def test_a_window_that_was_not_judged_leaves_the_last_judged_one() -> None:
    data = after(after(None, closed(1)), closed(2, enough=False))
    last = records.read_last({"data": data})
    assert last is not None
    assert last.number == 1
    (_, record) = records.read({"data": data})
    assert (record.judged, record.moves, record.inputs_degraded) == (False, {}, False)


def test_of_features_that_hardly_moved_only_a_few_are_kept() -> None:
    calm = [move(f"calm{n}", 0.04 - 0.001 * n) for n in range(9)]
    data = after(None, closed(1), result(*calm, move("near", 0.06), move("far", 0.9, drifts=True)))
    (record,) = records.read({"data": data})
    assert [*record.moves] == ["far", "near", "calm0", "calm1", "calm2"]
    assert len(record.moves) == records.CALM_FEATURES_MAX


def test_of_many_features_the_last_window_has_those_that_moved_most() -> None:
    columns = [monitored.numbers(f"x{n:02}", [1, 2], [400, 300, 300]) for n in range(50)]
    counts = monitored.window(*(monitored.column(f"x{n:02}", [400 - 4 * n, 300, 300 + 4 * n]) for n in range(50)))
    wide = monitored.reference(*columns)
    found = replace(result(), moved=drift.judge(wide, counts, {}, ""), expected=wide)
    last = records.read_last({"data": after(None, replace(closed(1), counts=counts), found)})
    assert last is not None
    kept = {f"x{n:02}" for n in range(50 - records.FEATURES_MAX, 50)}
    assert {c.name for c in last.counts.columns} == {c.name for c in last.expected.columns} == kept


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"windows": [{"number": 1}]}'])
def test_a_history_that_cannot_be_read_is_empty(text: str) -> None:
    config_map = {"data": {records.WINDOWS_KEY: text, records.LAST_KEY: text}}
    assert records.read(config_map) == records.read(None) == []
    assert records.read_last(config_map) is None
    assert numbers(after(config_map["data"], closed(1))) == [1]
