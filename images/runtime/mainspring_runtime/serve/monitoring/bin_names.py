"""Names of bins that a person can read, for the label `bin` in Prometheus. Stable: they follow from the edges alone.

Numbers are written with as few digits as tell all edges of a column apart, so a name is rounded where the edge is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np

TimeUnit = Literal["D", "m", "s", "us"]
DIGITS = range(4, 18)  # significant ones; 17 tell all floats apart
TIME_UNITS: tuple[TimeUnit, ...] = ("D", "m", "s", "us")
MAX_CHARACTERS = 64
OTHERS = "(others)"


def of_numbers(edges: Sequence[float]) -> list[str]:
    """`[1.5, 2)`: from 1.5, and below 2. One more than edges."""
    return _intervals(_shortest([f"{edge:.{digits}g}" for edge in edges] for digits in DIGITS))


def of_times(days: Sequence[float]) -> list[str]:
    """The same for days since 1970, as dates in UTC."""
    return _intervals(_shortest([_date(edge, unit) for edge in days] for unit in TIME_UNITS))


def of_categories(categories: Sequence[str]) -> list[str]:
    """Their own names, shortened if they are long, and one for all others."""
    names = [_short(category) for category in categories]
    others = OTHERS
    while others in names:
        others = f"({others})"
    return [*names, others]


def _intervals(names: Sequence[str]) -> list[str]:
    bounds = ["-inf", *names, "inf"]
    opening = ["(", *("[" for _ in names)]
    return [f"{bracket}{low}, {high})" for bracket, low, high in zip(opening, bounds, bounds[1:], strict=False)]


def _shortest(candidates: Iterable[list[str]]) -> list[str]:
    """The first candidate in which each edge has a name of its own, or else the last one."""
    names: list[str] = []
    for names in candidates:
        if len(set(names)) == len(names):
            break
    return names


def _date(days: float, unit: TimeUnit) -> str:
    moment = np.datetime64(round(days * 86_400_000_000), "us")
    return str(np.datetime_as_string(moment, unit=unit, casting="unsafe"))


def _short(name: str) -> str:
    if len(name) <= MAX_CHARACTERS:
        return name
    digest = blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{name[: MAX_CHARACTERS - len(digest) - 1]}…{digest}"
