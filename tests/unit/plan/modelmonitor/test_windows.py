"""Readings become windows: every row is in exactly one, however often the servers are read and the operator starts anew."""

from __future__ import annotations

import base64
import gzip
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.api.monitoring import ColumnCounts, Snapshot
from mainspring.api.v1alpha1.modelmonitor import Drift, ModelMonitorSpec, Window
from mainspring.plan.common import objects
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor import windows
from mainspring.plan.modelmonitor.observed import Reading
from mainspring.plan.modelmonitor.state import Part, State
from mainspring.plan.statistics import counts
from tests.builders import NOW

SPEC = ModelMonitorSpec(service="m", window=Window(length="60s", minimum_rows=100, maximum_length="10m"))
BINS = "sha256:bins"


def said(rows: int, epoch: str = "a", digest: str = BINS) -> Snapshot:
    column = ColumnCounts(name="x", counts=[rows // 2, rows - rows // 2])
    return Snapshot(model="m", version="1", digest=digest, epoch=epoch, started="", rows=rows, columns=[column])


def begun(reading: Reading) -> State:
    return windows.begin("m-v1", BINS, reading, None, SPEC, NOW)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_what_was_counted_before_does_not_count() -> None:
    state = begun(Reading({"a": said(5000)}))
    read = windows.advance(state, Reading({"a": said(5150)}), SPEC, after(60))
    assert read.closed is not None
    assert (read.closed.counts.rows, read.closed.enough, read.closed.number) == (150, True, 1)
    assert read.state.opened == objects.format_time(after(60))


@pytest.mark.parametrize(
    ("seconds", "rows", "closes", "enough"),
    [
        (59, 1000, False, None),
        (60, 99, False, None),
        (60, 100, True, True),
        (599, 99, False, None),
        (600, 99, True, False),
    ],
)
def test_a_window_needs_time_and_rows_but_does_not_wait_for_ever(
    seconds: float, rows: int, closes: bool, enough: bool | None
) -> None:
    read = windows.advance(begun(Reading({"a": said(0)})), Reading({"a": said(rows)}), SPEC, after(seconds))
    assert (read.closed is not None) == closes
    assert (read.closed.enough if read.closed else None) == enough


def test_nothing_is_written_while_a_window_goes_on() -> None:
    state = begun(Reading({"a": said(0)}))
    read = windows.advance(state, Reading({"a": said(70)}), SPEC, after(30))
    assert (read.keep, read.state) == (False, state)


def test_what_a_server_said_last_is_kept_when_it_goes() -> None:
    state = begun(Reading({"a": said(0), "b": said(0)}))
    read = windows.advance(state, Reading({"a": said(70)}, gone={"b": said(40)}), SPEC, after(30))
    assert read.keep
    assert read.state.counts is not None
    assert (read.state.counts.rows, set(read.state.seen)) == (110, {"a"})


def test_a_new_server_counts_from_its_start_and_one_that_started_anew_again() -> None:
    state = begun(Reading({"a": said(500)}))
    reading = Reading({"a": said(30, epoch="later"), "b": said(80)})
    read = windows.advance(state, reading, SPEC, after(60))
    assert read.closed is not None
    assert read.closed.counts.rows == 110


def test_other_bins_are_left_out() -> None:
    state = begun(Reading({"a": said(0)}))
    reading = Reading({"a": said(120), "b": said(80, digest="sha256:other")})
    read = windows.advance(state, reading, SPEC, after(60))
    assert read.closed is not None
    assert read.closed.counts.rows == 120


def test_counts_that_go_down_are_named_and_counted_from_there() -> None:
    state = begun(Reading({"a": said(500), "b": said(0)}))
    read = windows.advance(state, Reading({"a": said(300), "b": said(10)}), SPEC, after(30))
    assert "server a" in read.contradicted[0]
    assert read.keep
    assert (read.state.counts.rows if read.state.counts else 0, read.state.seen["a"].rows) == (10, 300)


def test_a_silent_server_is_waited_for() -> None:
    state = begun(Reading({"a": said(0), "b": said(0)}))
    first = windows.advance(state, Reading({"a": said(150)}, silent={"b": "no answer"}), SPEC, after(60))
    assert first.closed is not None
    second = windows.advance(first.state, Reading({"a": said(200), "b": said(90)}), SPEC, after(120))
    assert second.closed is not None
    assert second.closed.counts.rows == 140


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), min_size=1, max_size=40))
def test_every_row_is_in_exactly_one_window(steps: list[tuple[int, bool]]) -> None:
    """Each step: rows that came, and whether the operator was killed before it could keep its memory."""
    state, total, closed = begun(Reading({"a": said(0)})), 0, 0
    last = None
    for number, (rows, killed) in enumerate(steps, 1):
        total += rows
        read = windows.advance(state, Reading({"a": said(total)}), SPEC, after(30 * number))
        if not killed:
            state = reread(read.state)
            closed += read.closed.counts.rows if read.closed else 0
        last = read
    assert last is not None
    final = windows.advance(state, Reading({"a": said(total)}), SPEC, after(30 * len(steps) + 3600))
    assert closed + (final.closed.counts.rows if final.closed else 0) == total


def part(start: float, end: float, rows: int = 10) -> Part:
    whole = counts.of_snapshot(said(rows))
    return Part(start=objects.format_time(after(start)), end=objects.format_time(after(end)), counts=whole)


def test_a_season_is_kept_in_a_few_parts_that_cover_it() -> None:
    season: list[Part] = []
    for number in range(200):
        season = states.with_part(season, part(60 * number, 60 * (number + 1)), 3600)
        assert len(season) <= states.SEASON_PARTS + 2
    assert 3600 <= states.covered_seconds(season) < 3600 + 2 * 3600 / states.SEASON_PARTS
    rows = sum(p.counts.rows for p in season)
    assert rows == 10 * states.covered_seconds(season) / 60


def reread(state: State) -> State:
    found = states.read({"binaryData": {states.KEY: states.write(state)}})
    assert found is not None
    return found


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


ANOTHER_FORMAT = packed('{"format": 99, "version": "v", "digest": "d", "opened": ""}')


@pytest.mark.parametrize(
    "text", ["", "????", "bm90IGd6aXA=", packed("{}")[:20], packed("{}"), packed("no"), ANOTHER_FORMAT]
)
def test_a_memory_that_cannot_be_read_is_none(text: str) -> None:
    assert states.read({"binaryData": {states.KEY: text}}) is None
    assert states.read({}) is None
    assert states.read(None) is None


def test_equal_states_are_written_alike() -> None:
    state = begun(Reading({"a": said(0)}))
    assert states.write(state) == states.write(reread(state))


def test_rows_that_a_killed_server_took_with_it_are_estimated() -> None:
    """100 rows in 30 s by two servers: half of the rate, for the interval of 30 s."""
    state = begun(Reading({"a": said(0), "b": said(0)}))
    killed = windows.advance(state, Reading({"a": said(50)}, gone={"b": said(50)}), SPEC, after(30))
    assert killed.state.lost == 50
    orderly = said(50).model_copy(update={"final": True})
    assert windows.advance(state, Reading({"a": said(50)}, gone={"b": orderly}), SPEC, after(30)).state.lost == 0


def test_features_that_are_not_looked_at_take_no_room() -> None:
    spec = SPEC.model_copy(update={"drift": Drift(exclude=["x"])})
    state = windows.begin("m-v1", BINS, Reading({"a": said(10)}), None, spec, NOW)
    assert state.seen["a"].columns == []
    read = windows.advance(state, Reading({"a": said(200)}), spec, after(60))
    assert read.closed is not None
    assert (read.closed.counts.rows, read.closed.counts.columns) == (190, [])
