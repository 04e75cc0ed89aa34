"""Which types the columns of a text table have, decided on every row.

A column gets the first type that all of its values fit, in the order Boolean, Integer, Float, Timestamp; otherwise it
stays text. Numbers with a leading zero ("01234") are codes, not numbers, and stay text, as do dates that are not
ISO 8601, since 03/04/2024 is a different day in different countries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mainspring.api.v1alpha1.dataset import ColumnType
from mainspring_runtime.data import canonical
from mainspring_runtime.data.engine import Connection, literal, quoted, row

# Most columns find their type on these rows, so that all rows are read only once to confirm it.
FIRST_ROWS = 10_000
_INTEGER = "[+-]?(0|[1-9][0-9]{0,17})"
_FLOAT = "[+-]?((0|[1-9][0-9]*)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?"
_TIME = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}([ Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?( ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?))?)?"
)
Candidates: TypeAlias = Mapping[str, tuple[ColumnType, ...]]
ANYTHING = (ColumnType.BOOLEAN, ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.TIMESTAMP)
TIMES = (ColumnType.TIMESTAMP,)


def infer(connection: Connection, table: str, candidates: Candidates) -> dict[str, ColumnType]:
    """The type of each of these text columns of `table`: the first candidate that fits, else STRING.

    A column that could have any type but has no value at all is a Float.
    """
    likely = _settle(connection, f"(SELECT * FROM {table} LIMIT {FIRST_ROWS})", candidates)
    settled = _settle(connection, table, likely)
    empty = _without_values(connection, table, [name for name, left in settled.items() if left == ANYTHING])
    return {
        name: ColumnType.FLOAT if name in empty else (left or (ColumnType.STRING,))[0] for name, left in settled.items()
    }


def _settle(connection: Connection, relation: str, candidates: Candidates) -> Candidates:
    """Drop each column's first candidate until it fits all rows of `relation`; an empty tuple means text."""
    open_columns = dict(candidates)
    while unsure := [name for name, left in open_columns.items() if left]:
        misfits = [f"count(*) FILTER ({_misfit(name, open_columns[name][0])})" for name in unsure]
        counts = row(connection, f"SELECT {', '.join(misfits)} FROM {relation}")
        failed = [name for name, count in zip(unsure, counts, strict=True) if count]
        if not failed:
            break
        open_columns |= {name: open_columns[name][1:] for name in failed}
    return open_columns


def _misfit(name: str, type_: ColumnType) -> str:
    """SQL that is true for a value that is not of the type. Most values are written plainly and take the short way."""
    column = quoted(name)
    careful = f"{canonical.is_value(column)} AND NOT {_fits(f'lower(trim({column}))', type_)}"
    return f"CASE WHEN {_fits(column, type_)} THEN false ELSE {careful} END"


def _fits(text: str, type_: ColumnType) -> str:
    """SQL that is true for text in the form of the type; never NULL for text."""
    if type_ is ColumnType.BOOLEAN:
        return f"{text} IN ('true', 'false')"
    if type_ is ColumnType.TIMESTAMP:
        return f"(regexp_full_match({text}, {literal(_TIME)}) AND TRY_CAST({text} AS TIMESTAMPTZ) IS NOT NULL)"
    return f"regexp_full_match({text}, {literal(_INTEGER if type_ is ColumnType.INTEGER else _FLOAT)})"


def _without_values(connection: Connection, table: str, columns: Sequence[str]) -> set[str]:
    if not columns:
        return set()
    counts = [f"count(*) FILTER ({canonical.is_value(quoted(name))})" for name in columns]
    found = row(connection, f"SELECT {', '.join(counts)} FROM {table}")
    return {name for name, count in zip(columns, found, strict=True) if not count}
