"""Scalable pictures as text: elements, scales, and how long a text is. Nothing here knows what is drawn."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FONT_SIZE = 12.0
# Of an em: for the widest of the usual system fonts, so that a text is shorter rather than longer than was thought.
NARROW, WIDE = 0.6, 1.05
REPLACEMENT = "\ufffd"
# They turn the direction of all text that follows, also outside of the name that holds them.
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
TIMES = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ")
TIME_STEPS = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 20160, 43200, 129600)
)


@dataclass(frozen=True)
class Scale:
    """From values to places, linearly; a domain without extent is in the middle."""

    domain: tuple[float, float]
    places: tuple[float, float]

    def __call__(self, value: float) -> float:
        low, high = self.domain
        share = (value - low) / (high - low) if high > low else 0.5
        return self.places[0] + share * (self.places[1] - self.places[0])


def escaped(text: str) -> str:
    """Safe anywhere in a page, whatever a feature is called; control characters are shown as such."""
    safe = "".join(REPLACEMENT if is_control(character) else character for character in text)
    return html.escape(safe, quote=True)


def readable(words: str) -> str:
    """A sentence as people like it: 2026-05-04T08:00:00Z → 2026-05-04 08:00, and no line ends before a % sign."""
    return TIMES.sub(r"\1 \2", words).replace(" %", "\u00a0%")


def is_control(character: str) -> bool:
    return (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t") or character in DIRECTIONS


def element(tag: str, *content: str, **attributes: str | float | None) -> str:
    """`content` is markup already, attributes are plain text; None leaves one out, `class_` and `stroke_width` are names."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{given}>{''.join(content)}</{tag}>"


def _value(value: str | float) -> str:
    return escaped(value) if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """A place in a picture: a tenth of a pixel is fine enough."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value != round(value) else str(round(value))


def picture(width: float, height: float, label: str, *content: str, class_: str = "") -> str:
    """A whole picture. `label` says in a sentence what it shows, for those who do not see it."""
    return element(
        "svg",
        element("title", escaped(label)),
        *content,
        class_=class_ or None,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        style=f"max-width:{number(width * 1.25)}px",
    )


def text(x: float, y: float, words: str, **attributes: str | float | None) -> str:
    return element("text", escaped(words), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rectangle(x: float, y: float, width: float, height: float, class_: str, title: str = "") -> str:
    inner = (element("title", escaped(title)),) if title else ()
    return element("rect", *inner, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str, closed: bool = False) -> str:
    """A line through these points; nothing for fewer than two."""
    places = [f"{number(x)} {number(y)}" for x, y in points]
    if len(places) < 2:
        return ""
    return element("path", d="M" + "L".join(places) + ("Z" if closed else ""), class_=class_)


def length(words: str, size: float = FONT_SIZE) -> float:
    """In pixels, about and rather too long."""
    return sum(WIDE if unicodedata.east_asian_width(c) in "WF" or c in "MW@%" else NARROW for c in words) * size


def shortened(words: str, pixels: float, size: float = FONT_SIZE) -> str:
    """The text, or its beginning and an ellipsis."""
    if length(words, size) <= pixels:
        return words
    kept = words
    while kept and length(kept + "…", size) > pixels:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within the domain, at most so many (Heckbert, Nice numbers for graph labels, Graphics Gems, 1990)."""
    if not high > low:
        return [low]
    rough = (high - low) / max(most - 1, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * magnitude for nice in (1, 2, 5, 10) if nice * magnitude >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def time_ticks(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
    """Full hours, days and so on within the time, each with its name."""
    span = end - start
    step = next((step for step in TIME_STEPS if span / step <= max(most - 1, 1)), TIME_STEPS[-1])
    origin = datetime(2000, 1, 3, tzinfo=UTC)  # a Monday
    index = math.ceil((start - origin) / step)
    found: list[tuple[datetime, str]] = []
    while (moment := origin + index * step) <= end:
        found.append((moment, time_name(moment, step)))
        index += 1
    return found


def time_name(moment: datetime, step: timedelta) -> str:
    """The day at midnight, else the time of the day."""
    if step >= timedelta(days=1) or (moment.hour, moment.minute) == (0, 0):
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M}"


def without_overlap(
    places: Sequence[float], names: Sequence[str], size: float = FONT_SIZE, gap: float = 6
) -> list[int]:
    """Which of these names, each in the middle of its place, can be written in one line."""
    kept: list[int] = []
    until = -math.inf
    for index, (place, name) in enumerate(zip(places, names, strict=True)):
        half = length(name, size) / 2
        if place - half >= until:
            kept.append(index)
            until = place + half + gap
    return kept
