"""What the plots over time have in common: a width, the axis of time, and marks where something was done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mainspring.plan.common import objects
from mainspring.plugin.report import svg
from mainspring.plugin.report.facts import Report, WindowFacts
from mainspring.plugin.report.svg import Scale

AXIS_HEIGHT = 24.0
MARKS_HEIGHT = 22.0
MARK_RADIUS = 9.0
PIXELS_A_TICK = 80


@dataclass(frozen=True)
class Mark:
    """A retrain: its number in the table below."""

    number: int
    at: datetime
    outcome: str


@dataclass(frozen=True)
class Frame:
    """A plot over the time of these windows, `left` and `right` of its width."""

    width: float
    left: float
    right: float
    start: datetime
    end: datetime

    @property
    def plot_width(self) -> float:
        return self.right - self.left

    def x(self, moment: datetime | str) -> float:
        at = objects.parse_time(moment) if isinstance(moment, str) else moment
        scale = Scale((0.0, max((self.end - self.start).total_seconds(), 1.0)), (self.left, self.right))
        return scale((at - self.start).total_seconds())


def of_windows(windows: Sequence[WindowFacts], width: float, left: float) -> Frame:
    """There must be a window."""
    start, end = objects.parse_time(windows[0].start), objects.parse_time(windows[-1].end)
    return Frame(width, left, width - 12, start, end)


def marks(report: Report) -> list[Mark]:
    found = (objects.parse_time(told.entry.time) for told in report.retrains)
    return [Mark(n, at, told.entry.outcome) for n, (at, told) in enumerate(zip(found, report.retrains, strict=True), 1)]


def draw_axis(frame: Frame, top: float, bottom: float) -> Iterable[str]:
    """Lines from `top` to `bottom`, and the times under them."""
    moments = svg.time_ticks(frame.start, frame.end, int(frame.plot_width / PIXELS_A_TICK) + 1)
    places = [min(max(frame.x(moment), frame.left), frame.right) for moment, _ in moments]
    for index in svg.without_overlap(places, [name for _, name in moments]):
        yield svg.line(places[index], top, places[index], bottom, "grid")
        half = svg.length(moments[index][1]) / 2
        x = min(max(places[index], half), frame.width - half)
        yield svg.text(x, bottom + 16, moments[index][1], class_="tick", text_anchor="middle")


def draw_marks(frame: Frame, found: Iterable[Mark], top: float, bottom: float) -> Iterable[str]:
    """A numbered flag for each retrain in this time: filled when its version took over."""
    for mark in found:
        if frame.start <= mark.at <= frame.end:
            x = frame.x(mark.at)
            y = top - MARK_RADIUS - 2
            class_ = "flag done" if mark.outcome == "Promoted" else "flag"
            title = svg.element("title", svg.escaped(f"retrain {mark.number}: {mark.outcome}"))
            place = min(max(x, MARK_RADIUS + 1), frame.width - MARK_RADIUS - 1)
            yield svg.line(x, top, x, bottom, "mark")
            yield svg.element("circle", title, cx=place, cy=y, r=MARK_RADIUS, class_=class_)
            yield svg.text(place, y + 4, str(mark.number), class_=f"{class_} number", text_anchor="middle")


def draw_versions(frame: Frame, windows: Sequence[WindowFacts], y: float) -> Iterable[str]:
    """The version that was watched, over its time."""
    changes = [i for i, window in enumerate(windows) if not i or window.version != windows[i - 1].version]
    ends = [*(windows[index].start for index in changes[1:]), windows[-1].end]
    for index, end in zip(changes, ends, strict=True):
        version, left, right = windows[index].version, frame.x(windows[index].start), frame.x(end)
        yield svg.line(left, y - 12, left, y + 3, "change")
        if right - left > 24:
            yield svg.text(left + 4, y, svg.shortened(version, right - left - 8, 11), class_="version")
