"""What objects say of themselves in numbers, for Prometheus. A kind's `figures.py` names its families and fills them.

All of it follows from objects, mostly from their status, never from a process's memory: a restart tells the same, and
what was told of an object goes with it. What is not known is not told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.plan.common import objects


@dataclass(frozen=True)
class Family:
    """A metric; a counter's name has no `_total` here, as in OpenMetrics. Units are in the name."""

    name: str
    text: str
    labels: tuple[str, ...]
    counter: bool = False

    def __call__(self, *labels: str, value: float | None) -> Iterator[Figure]:
        """One sample, or none when the value is not known."""
        if value is not None:
            yield Figure(self, labels, float(value))


@dataclass(frozen=True)
class Figure:
    """`labels` are the values of the family's, in its order."""

    family: Family
    labels: tuple[str, ...]
    value: float


def condition(status: Mapping[str, Any], kind: str) -> float | None:
    """1, 0, or None while it is unknown."""
    found = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get(kind)
    return float(found == "True") if found in ("True", "False") else None


def reason(status: Mapping[str, Any], kind: str) -> str:
    """Of a condition; empty while there is none."""
    return next((str(c["reason"]) for c in status.get("conditions") or () if c["type"] == kind), "")


def timestamp(text: str | None) -> float | None:
    """Seconds since 1970."""
    return objects.parse_time(text).timestamp() if text else None


def seconds(since: str | None, until: str | None) -> float | None:
    """Between two times."""
    if not since or not until:
        return None
    return (objects.parse_time(until) - objects.parse_time(since)).total_seconds()
