"""The bins of a column as two samples, and what to call each when speaking to a person.

Numbers: the value bins in order, then missing. Categories: the listed ones, all other known ones, those that training
never saw, then missing. Strings: present, missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

from mainspring.api.monitoring import ColumnCounts, Reference, ReferenceColumn, ReferencePrediction
from mainspring.plan.statistics.divergence import Samples

_EPOCH = date(1970, 1, 1)
_MISSING = "missing"


def of_column(reference: Reference, column: ReferenceColumn, window: ColumnCounts, rows: int) -> Samples:
    """`rows` of the window: a String column counts nothing but what is missing."""
    return Samples(_bins(column, column, reference.rows), _bins(column, window, rows))


def of_prediction(prediction: ReferencePrediction, window: Sequence[int]) -> Samples:
    return Samples(tuple(prediction.counts), tuple(window))


def _bins(column: ReferenceColumn, counted: ReferenceColumn | ColumnCounts, rows: int) -> tuple[int, ...]:
    if column.categories is not None:
        *listed, others = counted.counts
        # The servers count rows and bins one after the other: a snapshot between them must not give a negative bin.
        return (*listed, max(others - counted.unseen, 0), counted.unseen, counted.missing)
    if not counted.counts:
        return (max(rows - counted.missing, 0), counted.missing)
    return (*counted.counts, counted.missing)


def name_of(column: ReferenceColumn, index: int) -> str:
    """The bin as it follows "4 % of rows ..."."""
    if column.categories is not None:
        size = len(column.categories)
        return f"{column.categories[index]!r}" if index < size else _beyond_categories(index - size)
    if column.edges is None:
        return ("present", _MISSING)[index]
    if index > len(column.edges):
        return _MISSING
    if column.kind == "Boolean" and len(column.edges) == 1:
        return ("false", "true")[index]
    return between(column.kind, column.edges, index)


def name_of_prediction(prediction: ReferencePrediction, index: int) -> str:
    if prediction.edges is not None:
        return between("Float", prediction.edges, index)
    return f"{prediction.classes[index]!r}" if prediction.classes else f"in bin {index}"


def _beyond_categories(place: int) -> str:
    return ("with another known value", "with a value that training never saw", _MISSING)[place]


def between(kind: str, edges: Sequence[float], index: int) -> str:
    """A bin of numbers; it has its lower edge and not its upper one."""
    if not edges:
        return "present"
    if kind == "Integer":
        return _between_integers(edges, index)
    if index == 0:
        return f"below {edge_text(kind, edges[0])}"
    if index == len(edges):
        return f"above {edge_text(kind, edges[-1])}"
    return f"from {edge_text(kind, edges[index - 1])} to {edge_text(kind, edges[index])}"


def _between_integers(edges: Sequence[float], index: int) -> str:
    """Edges between integers lie at halves; nobody wants to read those."""
    lowest = math.ceil(edges[index - 1]) if index else None
    highest = math.ceil(edges[index]) - 1 if index < len(edges) else None
    if lowest is None:
        return f"up to {highest}"
    if highest is None:
        return f"of {lowest} or more"
    return f"equal to {lowest}" if lowest == highest else f"from {lowest} to {highest}"


def edge_text(kind: str, edge: float) -> str:
    """Between two bins of numbers. Timestamps count days since 1970; beyond the years that a date can have, the days themselves are shown."""
    if kind == "Timestamp" and -719_162 <= edge < 2_932_896:
        return (_EPOCH + timedelta(days=edge)).isoformat()
    return f"{edge:.4g}"


def percent(share: float) -> str:
    """31 %, 4 %, 0.4 %; what is not zero does not look like it."""
    number = 100 * share
    if number >= 9.95 or not number:
        return f"{number:.0f} %"
    return f"{number:.2g} %" if number >= 0.01 else "under 0.01 %"
