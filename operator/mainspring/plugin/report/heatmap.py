"""Drift over time: a row for each feature, a cell for each window, darker the further above its threshold.

Which cells drift is also said by a white line through them, so that it can be seen without colours and on paper.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mainspring.plugin.report import frame as frames
from mainspring.plugin.report import svg
from mainspring.plugin.report.facts import Moved, Report, WindowFacts
from mainspring.plugin.report.frame import Frame

FEATURES_SHOWN = 16
LEVELS = (0.5, 1.0, 1.5, 3.0)  # of PSI by threshold; between them lie the shades
LABEL_WIDTH = 190.0
ROW_HEIGHT = 20.0
NARROW_ROW_HEIGHT = 34.0  # with the name above the cells
CELL_HEIGHT = 16.0


def has_drift(report: Report) -> bool:
    return any(window.moved for window in report.windows)


def draw(report: Report, width: float, narrow: bool = False) -> str:
    names = shown(report)
    frame = frames.of_windows(report.windows, width, 12 if narrow else LABEL_WIDTH)
    height = NARROW_ROW_HEIGHT if narrow else ROW_HEIGHT
    top = frames.MARKS_HEIGHT
    bottom = top + height * len(names)
    rows = [top + height * place + (height - CELL_HEIGHT - 2) for place in range(len(names))]
    return svg.picture(
        width,
        bottom + frames.AXIS_HEIGHT,
        describe(report),
        *frames.draw_axis(frame, top, bottom + 2),
        *_draw_cells(frame, report.windows, names, rows),
        *(_draw_name(frame, name, y, narrow) for name, y in zip(names, rows, strict=True)),
        *frames.draw_marks(frame, frames.marks(report), top, bottom),
    )


def title_of(name: str) -> str:
    """The prediction has no name among the features."""
    return name or "prediction"


def describe(report: Report) -> str:
    names = shown(report)
    drifting = [name for name in names if any(w.moved[name].drifted for w in report.windows if name in w.moved)]
    which = ", ".join(map(title_of, drifting)) or "none"
    return f"Drift of {len(names)} features and predictions over {len(report.windows)} windows; drifted at some time: {which}"


def shown(report: Report) -> list[str]:
    """Those that moved most at any time: drifting ones first, the present before the past."""
    every = {name for window in report.windows for name in window.moved}
    return sorted(every, key=lambda name: (*_rank(report.windows, name), name))[:FEATURES_SHOWN]


def _rank(windows: Sequence[WindowFacts], name: str) -> tuple[float, float]:
    found = [window.moved[name] for window in windows if name in window.moved]
    ever = any(moved.drifted for moved in found)
    latest = _ratio(windows[-1].moved[name]) if name in windows[-1].moved else 0.0
    return (0.0 if ever else 1.0), -max(latest, 0.5 * max(map(_ratio, found)))


def _ratio(moved: Moved) -> float:
    return moved.psi / moved.threshold if moved.threshold else 0.0


def level(moved: Moved) -> int:
    """0 for no difference worth speaking of, 2 and more above the threshold."""
    return sum(_ratio(moved) > bound for bound in LEVELS)


def _draw_cells(
    frame: Frame, windows: Sequence[WindowFacts], names: Sequence[str], rows: Sequence[float]
) -> Iterable[str]:
    """One path for each shade: a report has thousands of cells. What a window does not name was as in the reference."""
    shades: dict[int, list[str]] = defaultdict(list)
    drifting: list[str] = []
    for window in (window for window in windows if window.judged):
        left, right = frame.x(window.start), frame.x(window.end)
        for name, y in zip(names, rows, strict=True):
            moved = window.moved.get(name)
            shades[level(moved) if moved else 0].append(_cell(left, y, right - left))
            if moved is not None and moved.drifted:
                middle = svg.number(y + CELL_HEIGHT / 2)
                drifting.append(f"M{svg.number(left)} {middle}H{svg.number(right)}")
    for shade in sorted(shades):
        yield svg.element("path", d="".join(shades[shade]), class_=f"shade s{shade}")
    if drifting:
        yield svg.element("path", d="".join(drifting), class_="drifting")


def _cell(x: float, y: float, width: float) -> str:
    gap = 1.0 if width > 6 else 0.0
    across = svg.number(max(width - gap, 0.5))
    return f"M{svg.number(x)} {svg.number(y)}h{across}v{svg.number(CELL_HEIGHT)}h-{across}z"


def _draw_name(frame: Frame, name: str, y: float, narrow: bool) -> str:
    title = title_of(name)
    class_ = "label prediction" if not name else "label"
    if narrow:
        return svg.text(frame.left, y - 4, svg.shortened(title, frame.plot_width), class_=class_)
    words = svg.shortened(title, LABEL_WIDTH - 14)
    return svg.text(frame.left - 8, y + 12.5, words, class_=class_, text_anchor="end")
