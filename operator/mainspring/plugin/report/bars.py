"""The distribution of one feature: the reference as a wide pale bar, what came in as a narrow dark one in front of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainspring.plan.statistics.bins import percent
from mainspring.plugin.report import svg
from mainspring.plugin.report.facts import Bar, Subject
from mainspring.plugin.report.svg import Scale

WIDTH = 280.0
HISTOGRAM_HEIGHT = 120.0
LEFT, RIGHT = 40.0, 8.0
TOP = 8.0
ROW_HEIGHT = 20.0
NAME_WIDTH = 88.0
VALUE_WIDTH = 96.0
SPECIAL_GAP = 8.0
SMALL = 11.0


def draw(subject: Subject) -> str:
    return _draw_histogram(subject) if subject.edges else _draw_list(subject)


def describe(subject: Subject) -> str:
    """For those who do not see the plot: the three bins that moved most."""
    moved = sorted(subject.bars, key=lambda bar: -abs(bar.now - bar.reference))[:3]
    texts = (f"{bar.name}: {percent(bar.now)} of rows, {percent(bar.reference)} in the reference" for bar in moved)
    return f"Distribution of {subject.name}. {'; '.join(texts)}"


def _draw_histogram(subject: Subject) -> str:
    """Bins have equal widths here, whatever their edges: what is compared is their share of rows."""
    bottom = TOP + HISTOGRAM_HEIGHT
    plain, special = _split(subject.bars)
    scale = Scale((0.0, _most(subject.bars)), (bottom, TOP))
    slot = (WIDTH - LEFT - RIGHT - (SPECIAL_GAP if special else 0)) / (len(plain) + len(special))
    lefts = [LEFT + slot * place for place in range(len(plain))]
    apart = [LEFT + SPECIAL_GAP + slot * (len(plain) + place) for place in range(len(special))]
    return svg.picture(
        WIDTH,
        bottom + 34,
        describe(subject),
        *_draw_shares(scale),
        *(
            p
            for bar, x in zip([*plain, *special], [*lefts, *apart], strict=True)
            for p in _draw_pair(bar, x, slot, scale)
        ),
        svg.line(LEFT, bottom, WIDTH - RIGHT, bottom, "base"),
        *_draw_edges(subject.edges or (), slot, bottom),
        *(_name_special(bar, x + slot / 2, bottom) for bar, x in zip(special, apart, strict=True)),
        class_="bars",
    )


def _split(bars: Sequence[Bar]) -> tuple[list[Bar], list[Bar]]:
    """A column without missing values on either side needs no place for them."""
    return [b for b in bars if not b.special], [b for b in bars if b.special and (b.reference or b.now)]


def _most(bars: Sequence[Bar]) -> float:
    return max(max(bar.reference, bar.now) for bar in bars) * 1.05 or 1.0


def _draw_shares(scale: Scale) -> Iterable[str]:
    for value in svg.ticks(*scale.domain, most=5):
        yield svg.line(LEFT, scale(value), WIDTH - RIGHT, scale(value), "grid")
        yield svg.text(LEFT - 5, scale(value) + 4, percent(value), class_="tick", text_anchor="end")


def _draw_pair(bar: Bar, x: float, slot: float, scale: Scale) -> Iterable[str]:
    bottom = scale.places[0]
    wide, narrow = slot * 0.86, slot * 0.42
    reference = "reference special" if bar.special else "reference"
    yield svg.rectangle(x + (slot - wide) / 2, scale(bar.reference), wide, bottom - scale(bar.reference), reference)
    yield svg.rectangle(x + (slot - narrow) / 2, scale(bar.now), narrow, bottom - scale(bar.now), "now", _said(bar))


def _said(bar: Bar) -> str:
    return f"{bar.name}: {percent(bar.now)} now, {percent(bar.reference)} in the reference"


def _draw_edges(edges: Sequence[str], slot: float, bottom: float) -> Iterable[str]:
    """Between the bars; as many as there is room for."""
    places = [LEFT + slot * (index + 1) for index in range(len(edges))]
    for x in places:
        yield svg.line(x, bottom, x, bottom + 3, "base")
    for index in svg.without_overlap(places, edges, SMALL):
        half = svg.length(edges[index], SMALL) / 2
        x = min(max(places[index], half), WIDTH - half)
        yield svg.text(x, bottom + 16, edges[index], class_="tick small", text_anchor="middle")


def _name_special(bar: Bar, x: float, bottom: float) -> str:
    half = svg.length(bar.name, SMALL) / 2
    return svg.text(min(x, WIDTH - half), bottom + 30, bar.name, class_="tick small", text_anchor="middle")


def _draw_list(subject: Subject) -> str:
    """Categories under each other, each with its name and both shares."""
    bars = subject.bars
    scale = Scale((0.0, _most(bars)), (NAME_WIDTH, WIDTH - VALUE_WIDTH))
    rows = [p for place, bar in enumerate(bars) for p in _draw_row(bar, TOP + ROW_HEIGHT * place, scale)]
    bottom = TOP + ROW_HEIGHT * len(bars)
    base = svg.line(NAME_WIDTH, TOP, NAME_WIDTH, bottom, "base")
    return svg.picture(WIDTH, bottom + 6, describe(subject), *rows, base, class_="bars")


def _draw_row(bar: Bar, y: float, scale: Scale) -> Iterable[str]:
    left = scale.places[0]
    reference = "reference special" if bar.special else "reference"
    name = svg.shortened(bar.name, NAME_WIDTH - 8, SMALL)
    class_ = "tick small special" if bar.special else "tick small"
    yield svg.rectangle(left, y + 2, scale(bar.reference) - left, 16, reference)
    yield svg.rectangle(left, y + 6, scale(bar.now) - left, 8, "now", _said(bar))
    yield svg.text(left - 6, y + 14, name, class_=class_, text_anchor="end")
    yield svg.text(
        WIDTH - 4, y + 14, f"{percent(bar.now)} ({percent(bar.reference)})", class_="tick small", text_anchor="end"
    )
