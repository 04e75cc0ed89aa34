"""Quality over time, with its bound; and under it how many requests and labels there were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mainspring.api.v1alpha1.modelmonitor import Performance, PerformanceStatus
from mainspring.plugin.report import frame as frames
from mainspring.plugin.report import svg, verdict
from mainspring.plugin.report.facts import Report, WindowFacts
from mainspring.plugin.report.frame import Frame
from mainspring.plugin.report.svg import Scale

LEFT = 52.0
QUALITY_HEIGHT = 200.0
VOLUME_TOP, VOLUME_HEIGHT = 14.0, 90.0
WRONG_HEIGHT = 6.0
VERSIONS_HEIGHT = 18.0
PADDING = 0.08  # of the range of values, above and below
LEAST_RANGE = 1e-3
DOTS_MAX = 40  # windows; with more of them the line alone says enough

Point = tuple[float, float]


def has_quality(report: Report) -> bool:
    return any(_value(window) is not None for window in report.windows)


def draw_quality(report: Report, width: float) -> str:
    """Measured as a line with its interval, estimated as a broken line, and the bound."""
    assert report.asked is not None
    windows = report.windows
    frame = frames.of_windows(windows, width, LEFT)
    top = frames.MARKS_HEIGHT + VERSIONS_HEIGHT
    bottom = top + QUALITY_HEIGHT
    bound = verdict.limit(report.asked)
    scale = Scale(_domain(windows, bound), (bottom, top))
    return svg.picture(
        width,
        bottom + frames.AXIS_HEIGHT,
        describe_quality(report),
        *frames.draw_versions(frame, windows, top - 5),
        *_draw_values(frame, scale),
        *frames.draw_axis(frame, top, bottom),
        *_draw_band(frame, scale, windows),
        *_draw_line(frame, scale, windows, _estimate, "estimated"),
        *_draw_line(frame, scale, windows, _value, "measured"),
        svg.line(frame.left, scale(bound), frame.right, scale(bound), "bound"),
        _name_bound(frame, scale, report.asked, bound),
        *frames.draw_marks(frame, frames.marks(report), top - VERSIONS_HEIGHT, bottom),
    )


def describe_quality(report: Report) -> str:
    """For those who do not see the plot."""
    assert report.asked is not None
    values = [value for window in report.windows if (value := _value(window)) is not None]
    if not values:
        return f"{verdict.metric_name(report.asked.metric)} over time: not measured"
    return f"{verdict.metric_name(report.asked.metric)} over time: first {values[0]:.4g}, lowest {min(values):.4g}, highest {max(values):.4g}, last {values[-1]:.4g}; {verdict.bound(report.asked)} is asked for"


def _value(window: WindowFacts) -> float | None:
    return window.performance.value if window.performance else None


def _estimate(window: WindowFacts) -> float | None:
    return window.performance.estimated if window.performance else None


def _domain(windows: Sequence[WindowFacts], bound: float) -> tuple[float, float]:
    values = [bound]
    for window in windows:
        values += _numbers(window.performance)
    low, high = min(values), max(values)
    room = max((high - low) * PADDING, abs(high) * LEAST_RANGE, LEAST_RANGE)
    return low - room, high + room


def _numbers(found: PerformanceStatus | None) -> Iterable[float]:
    if found is None:
        return []
    return [v for v in (found.value, found.lower, found.upper, found.estimated) if v is not None]


def _draw_values(frame: Frame, scale: Scale) -> Iterable[str]:
    for value in svg.ticks(*scale.domain, most=7):
        yield svg.line(frame.left, scale(value), frame.right, scale(value), "grid")
        yield svg.text(frame.left - 6, scale(value) + 4, f"{value:g}", class_="tick", text_anchor="end")


def _name_bound(frame: Frame, scale: Scale, asked: Performance, bound: float) -> str:
    """Under the line if there is room, so that it does not cover what is good."""
    y = scale(bound) + 14 if scale(bound) + 18 < scale.places[0] else scale(bound) - 6
    return svg.text(frame.right - 4, y, f"{verdict.bound(asked)}", class_="bound-name", text_anchor="end")


def _runs(windows: Sequence[WindowFacts], is_there: Callable[[WindowFacts], bool]) -> Iterable[list[WindowFacts]]:
    """Windows one after the other of one version that have a value: a line goes through these and no further."""
    run: list[WindowFacts] = []
    for window in windows:
        if run and (not is_there(window) or window.version != run[-1].version):
            yield run
            run = []
        if is_there(window):
            run.append(window)
    if run:
        yield run


def _draw_line(
    frame: Frame,
    scale: Scale,
    windows: Sequence[WindowFacts],
    value_of: Callable[[WindowFacts], float | None],
    class_: str,
) -> Iterable[str]:
    for run in _runs(windows, lambda window: value_of(window) is not None):
        points = [(frame.x(window.end), scale(value_of(window) or 0.0)) for window in run]
        yield svg.path(points, class_)
        if len(windows) <= DOTS_MAX or len(points) == 1:
            yield from (svg.element("circle", cx=x, cy=y, r=2.5, class_=f"{class_} dot") for x, y in points)


def _draw_band(frame: Frame, scale: Scale, windows: Sequence[WindowFacts]) -> Iterable[str]:
    for run in _runs(windows, lambda w: w.performance is not None and w.performance.lower is not None):
        upper = [_place(frame, scale, window, upper=True) for window in run]
        lower = [_place(frame, scale, window, upper=False) for window in run]
        yield svg.path([*upper, *reversed(lower)], "band", closed=True)


def _place(frame: Frame, scale: Scale, window: WindowFacts, upper: bool) -> Point:
    found = window.performance
    value = (found.upper if upper else found.lower) if found else None
    return frame.x(window.end), scale(value or 0.0)


def draw_volume(report: Report, width: float) -> str:
    """Rows of each window, and in front of them its labels."""
    windows = report.windows
    frame = frames.of_windows(windows, width, LEFT)
    top, bottom = VOLUME_TOP, VOLUME_TOP + VOLUME_HEIGHT
    most = max(max(window.rows, window.labels) for window in windows)
    scale = Scale((0.0, float(max(most, 1))), (bottom, top))
    return svg.picture(
        width,
        bottom + frames.AXIS_HEIGHT,
        describe_volume(report),
        *_draw_counts(frame, scale),
        *frames.draw_axis(frame, top, bottom),
        *(part for window in windows for part in _draw_window(frame, scale, window)),
        svg.line(frame.left, bottom, frame.right, bottom, "base"),
    )


def describe_volume(report: Report) -> str:
    rows, labels = sum(w.rows for w in report.windows), sum(w.labels for w in report.windows)
    wrong = sum(window.inputs_degraded for window in report.windows)
    text = f"{len(report.windows)} windows with {rows} predicted rows and {labels} labels"
    return f"{text}; in {wrong} of them values came in worse than is allowed" if wrong else text


def _draw_counts(frame: Frame, scale: Scale) -> Iterable[str]:
    for value in svg.ticks(*scale.domain, most=3):
        yield svg.line(frame.left, scale(value), frame.right, scale(value), "grid")
        yield svg.text(frame.left - 6, scale(value) + 4, short_count(value), class_="tick", text_anchor="end")


def _draw_window(frame: Frame, scale: Scale, window: WindowFacts) -> Iterable[str]:
    left, right = frame.x(window.start), frame.x(window.end)
    gap = 1.0 if right - left > 4 else 0.0
    bottom, width = scale.places[0], right - left - gap
    title = f"window {window.number}, until {window.end}: {window.rows} rows, {window.labels} labels"
    class_ = "rows" if window.judged else "rows few"
    yield svg.rectangle(left, scale(window.rows), width, bottom - scale(window.rows), class_, title)
    if window.inputs_degraded:
        yield svg.rectangle(left, 2, width, WRONG_HEIGHT, "wrong", f"{title}; values came in worse than is allowed")
    if window.labels:
        top = scale(window.labels)
        yield svg.rectangle(left + width * 0.25, top, width * 0.5, bottom - top, "labels")


def short_count(value: float) -> str:
    """1200 → 1.2k"""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"
