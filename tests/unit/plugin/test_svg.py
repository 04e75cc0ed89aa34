"""Scales, ticks and texts of pictures."""

from __future__ import annotations

import html
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.plugin.report import svg
from mainspring.plugin.report.svg import Scale

NUMBERS = st.floats(-1e9, 1e9)
DAY = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_scale_maps_its_domain_to_its_places() -> None:
    scale = Scale((10.0, 20.0), (100.0, 0.0))
    assert [scale(10), scale(15), scale(20)] == [100, 50, 0]


def test_a_domain_without_extent_is_in_the_middle() -> None:
    assert Scale((3.0, 3.0), (0.0, 50.0))(3.0) == 25


@given(low=NUMBERS, extent=st.floats(1e-6, 1e9), most=st.integers(2, 8))
def test_ticks_are_few_and_within_the_domain(low: float, extent: float, most: int) -> None:
    high = low + extent
    found = svg.ticks(low, high, most)
    assert len(found) <= most
    margin = 1e-6 * max(abs(low), abs(high), extent)
    assert all(low - margin <= tick <= high + margin for tick in found)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0, 0.5, 1]), (0.78, 0.97, [0.8, 0.85, 0.9, 0.95]), (0.0, 0.0, [0]), (-30.0, 100.0, [0, 50, 100])],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert svg.ticks(low, high, 5) == expected


@given(minutes=st.integers(0, 2_000_000), most=st.integers(2, 12))
def test_times_on_an_axis_are_few_and_within_it(minutes: int, most: int) -> None:
    end = DAY + timedelta(minutes=minutes)
    found = svg.time_ticks(DAY, end, most)
    assert all(DAY <= moment <= end for moment, _ in found)
    assert len(found) <= most + 1 or minutes > 129_600 * most


def test_times_on_an_axis_are_full_hours_and_days() -> None:
    names = [name for _, name in svg.time_ticks(DAY + timedelta(hours=13), DAY + timedelta(hours=36), 6)]
    assert names == ["18:00", "5 May", "06:00", "12:00"]


@given(st.text())
def test_escaped_text_is_text_and_nothing_else(words: str) -> None:
    safe = svg.escaped(words)
    assert not set(safe) & set("<>\"'")
    assert not any(svg.is_control(c) for c in safe)
    assert len(html.unescape(safe)) == len(words)


def test_text_that_would_turn_the_rest_of_the_line_is_disarmed() -> None:
    assert svg.escaped("\u202egnp.exe\u0000\x1b[31m") == "\ufffdgnp.exe\ufffd\ufffd[31m"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    made = svg.element("a", "&amp;", class_='"><b>', stroke_width=1.25, title=None)
    assert made == '<a class="&quot;&gt;&lt;b&gt;" stroke-width="1.2">&amp;</a>'


@given(words=st.text(max_size=200), pixels=st.floats(20, 500))
def test_a_shortened_text_fits_and_is_the_beginning(words: str, pixels: float) -> None:
    short = svg.shortened(words, pixels)
    assert svg.length(short) <= pixels
    assert short == words or words.startswith(short[:-1])


@given(st.lists(st.floats(0, 900), max_size=30).map(sorted))
def test_labels_of_an_axis_do_not_overlap(places: list[float]) -> None:
    names = ["1234567"] * len(places)
    kept = svg.without_overlap(places, names)
    width = svg.length("1234567")
    assert all(places[b] - places[a] >= width for a, b in itertools.pairwise(kept))
    assert bool(kept) == bool(places)


def test_a_path_needs_two_points() -> None:
    assert svg.path([(1, 2)], "x") == ""
    assert svg.path([(1, 2), (3.04, 4.06)], "x") == '<path d="M1 2L3 4.1" class="x"></path>'


def test_sentences_are_easy_to_read() -> None:
    assert svg.readable("since 2026-05-04T08:00:00Z, 3 %") == "since 2026-05-04 08:00, 3\u00a0%"
