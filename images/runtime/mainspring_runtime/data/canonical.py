"""The six column types: what a raw value becomes, and which values a column may not have.

Everything here returns SQL. A cast gives NULL for what it cannot represent exactly, and a rule counts the rows where a
value was there and the cast lost it, or where the declared bounds are broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mainspring.api.v1alpha1.dataset import ColumnSpec, ColumnType
from mainspring_runtime.data.engine import literals, quoted

# Words for "no value" in text where a number, a date or a boolean is expected; in a text column they stay text.
MISSING_WORDS = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>")
NUMERIC = (ColumnType.FLOAT, ColumnType.INTEGER)
TEXTUAL = (ColumnType.CATEGORY, ColumnType.STRING)


class Kind(StrEnum):
    """What DuckDB read, as far as it matters here."""

    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class Field:
    """A column on its way to its canonical type. `inferred` text may still become a Category."""

    name: str
    kind: Kind
    type: ColumnType
    spec: ColumnSpec | None = None
    required: bool = False
    inferred: bool = False

    @property
    def raw(self) -> str:
        return f"CAST({quoted(self.name)} AS VARCHAR)" if self.kind is Kind.TEXT else quoted(self.name)


@dataclass(frozen=True)
class Rule:
    """What a value of a column may not be: `condition` is SQL that is true for offending rows. `of_type` rules say that
    a value is not of the column's type at all."""

    column: str
    offence: str
    condition: str
    of_type: bool = False


def kind_of(duckdb_type: str) -> Kind | None:
    """The kind of a DuckDB type, or None for nested and binary ones."""
    name = duckdb_type.upper()
    if name.endswith("[]") or name.startswith(("STRUCT", "MAP", "UNION")):
        return None
    if name.startswith(("DECIMAL", "ENUM")):
        return Kind.FLOAT if name.startswith("DECIMAL") else Kind.TEXT
    return _KINDS.get(name)


def cast(field: Field) -> str:
    """SQL of the canonical value of a field."""
    return _CASTS[field.type](field.kind, field.raw)


def present(field: Field) -> str:
    """SQL that is true when the source has a value, readable or not."""
    if field.kind is Kind.TEXT and field.type in TEXTUAL:
        return f"({field.raw} IS NOT NULL AND {field.raw} <> '')"
    if field.kind is Kind.TEXT:
        return is_value(field.raw)
    return (
        f"({field.raw} IS NOT NULL AND NOT isnan({field.raw}))"
        if field.kind is Kind.FLOAT
        else f"{field.raw} IS NOT NULL"
    )


def is_value(text: str) -> str:
    """SQL that is true for text that is neither blank nor a word for "missing"."""
    return f"({text} IS NOT NULL AND lower(trim({text})) NOT IN ({literals(MISSING_WORDS)}))"


def rules(field: Field) -> Iterator[Rule]:
    """What can be wrong with the values of a field, given its kind, type and declaration."""
    value = cast(field)
    if not _is_total(field):
        yield Rule(field.name, f"not {_ARTICLES[field.type]}", f"{present(field)} AND ({value}) IS NULL", of_type=True)
    if field.type is ColumnType.FLOAT and field.kind is not Kind.INTEGER:
        yield Rule(field.name, "not finite", f"isinf({value})")
    if field.kind is Kind.TIMESTAMP and field.type is ColumnType.TIMESTAMP:
        yield Rule(field.name, "outside the years 1 to 9999", f"year({value}) NOT BETWEEN 1 AND 9999")
    if field.required or (field.spec and not field.spec.nullable):
        yield Rule(field.name, "missing", f"NOT {present(field)}")
    if field.spec:
        yield from _bounds(field.spec, value)


def _bounds(spec: ColumnSpec, value: str) -> Iterator[Rule]:
    if spec.minimum is not None:
        yield Rule(spec.name, f"below the minimum {spec.minimum:g}", f"({value}) < CAST({spec.minimum!r} AS DOUBLE)")
    if spec.maximum is not None:
        yield Rule(spec.name, f"above the maximum {spec.maximum:g}", f"({value}) > CAST({spec.maximum!r} AS DOUBLE)")
    if spec.allowed is not None:
        yield Rule(spec.name, "not among the allowed categories", f"({value}) NOT IN ({literals(spec.allowed)})")


def _is_total(field: Field) -> bool:
    """Whether every value of the kind has an exact canonical form."""
    return field.type in TEXTUAL or (field.kind, field.type) in _TOTAL


def _to_float(kind: Kind, raw: str) -> str:
    if kind is Kind.TEXT:
        raw = f"TRY_CAST({raw} AS DOUBLE)"
    # NaN is how many tools write a missing number; adding zero makes -0.0 the same bytes as 0.0.
    return (
        "CAST(NULL AS DOUBLE)"
        if kind is Kind.TIMESTAMP
        else f"nullif(CAST({raw} AS DOUBLE), CAST('NaN' AS DOUBLE)) + 0.0"
    )


def _to_integer(kind: Kind, raw: str) -> str:
    if kind is Kind.TEXT:
        return f"CASE WHEN regexp_full_match(trim({raw}), '[+-]?[0-9]+([.]0*)?') THEN TRY_CAST({raw} AS BIGINT) END"
    if kind is Kind.FLOAT:
        return f"CASE WHEN {raw} = trunc({raw}) THEN TRY_CAST({raw} AS BIGINT) END"
    return "CAST(NULL AS BIGINT)" if kind is Kind.TIMESTAMP else f"TRY_CAST({raw} AS BIGINT)"


def _to_boolean(kind: Kind, raw: str) -> str:
    if kind is Kind.BOOLEAN:
        return raw
    if kind is Kind.TIMESTAMP:
        return "CAST(NULL AS BOOLEAN)"
    text = f"lower(trim({raw}))" if kind is Kind.TEXT else f"CAST(TRY_CAST({raw} AS DOUBLE) AS VARCHAR)"
    return f"CASE WHEN {text} IN ({literals(_TRUE)}) THEN true WHEN {text} IN ({literals(_FALSE)}) THEN false END"


def _to_timestamp(kind: Kind, raw: str) -> str:
    if kind is Kind.TEXT:
        return f"TRY_CAST(trim({raw}) AS TIMESTAMPTZ)"
    return f"CAST({raw} AS TIMESTAMPTZ)" if kind is Kind.TIMESTAMP else "CAST(NULL AS TIMESTAMPTZ)"


def _to_text(kind: Kind, raw: str) -> str:
    if kind is Kind.FLOAT:
        # Whole numbers are written without a fraction, so 3 from CSV and 3.0 from Parquet are one category.
        whole = f"abs({raw}) < 9e15 AND {raw} = trunc({raw})"
        return f"CASE WHEN isnan({raw}) THEN NULL WHEN {whole} THEN CAST(CAST({raw} AS BIGINT) AS VARCHAR) ELSE CAST({raw} AS VARCHAR) END"
    if kind is Kind.TIMESTAMP:
        return f"strftime(CAST({raw} AS TIMESTAMPTZ), '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"nullif(CAST({raw} AS VARCHAR), '')"


_TRUE = ("true", "t", "yes", "y", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "0", "0.0")
_CASTS: dict[ColumnType, Callable[[Kind, str], str]] = {
    ColumnType.FLOAT: _to_float,
    ColumnType.INTEGER: _to_integer,
    ColumnType.BOOLEAN: _to_boolean,
    ColumnType.TIMESTAMP: _to_timestamp,
    ColumnType.CATEGORY: _to_text,
    ColumnType.STRING: _to_text,
}
_ARTICLES = {
    ColumnType.FLOAT: "a number",
    ColumnType.INTEGER: "a whole number of 64 bits",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.TIMESTAMP: "an ISO 8601 time",
}
_TOTAL = {
    (Kind.INTEGER, ColumnType.FLOAT),
    (Kind.FLOAT, ColumnType.FLOAT),
    (Kind.BOOLEAN, ColumnType.FLOAT),
    (Kind.BOOLEAN, ColumnType.INTEGER),
    (Kind.BOOLEAN, ColumnType.BOOLEAN),
    (Kind.TIMESTAMP, ColumnType.TIMESTAMP),
}
_KINDS = {
    **dict.fromkeys(("VARCHAR", "UUID", "TIME"), Kind.TEXT),
    **dict.fromkeys(
        (
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "UBIGINT",
            "HUGEINT",
            "UHUGEINT",
        ),
        Kind.INTEGER,
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE"), Kind.FLOAT),
    "BOOLEAN": Kind.BOOLEAN,
    **dict.fromkeys(
        ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"), Kind.TIMESTAMP
    ),
}
