"""Durations as the API writes them: `90s`, `1h30m`, `90d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def parse(text: str) -> timedelta:
    """The length of time; the API server has already checked the form."""
    return sum(
        (float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h|d)", text)), timedelta()
    )
