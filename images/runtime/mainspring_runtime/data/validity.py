"""Rows that break the schema: counted, dropped, and an error when there are too many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.data.canonical import Rule, cast, rules
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, quoted, row
from mainspring_runtime.data.reading import DATASET
from mainspring_runtime.data.schema import Schema
from mainspring_runtime.errors import PermanentError

# The canonical, valid rows: a view with exactly the columns of the schema.
TYPED = f"{INTERNAL_SCHEMA}.typed_rows"
WORST = 10


@dataclass(frozen=True)
class Validity:
    """Rows read, and how many of them were dropped."""

    rows: int
    invalid_rows: int


def apply(connection: Connection, spec: DatasetSpec, schema: Schema) -> Validity:
    """Create the view `TYPED` over the valid rows of `dataset`.

    Raises `PermanentError` with the reason NoRows, InvalidRows or (for a column whose type the previous version fixed)
    SchemaChanged.
    """
    applied = all_rules(spec, schema)
    total, invalid, counts = _count(connection, applied)
    if not total:
        raise PermanentError("NoRows", "the data have no rows; check spec.source and the filters in spec.prepare")
    if invalid > spec.max_invalid_fraction * total:
        raise _too_many(
            spec, schema, [(rule, count) for rule, count in zip(applied, counts, strict=True) if count], invalid, total
        )
    if invalid == total:
        raise PermanentError("NoRows", f"all {total} rows are invalid; check spec.columns")
    values = ", ".join(f"{cast(field)} AS {quoted(field.name)}" for field in schema.fields)
    where = f" WHERE NOT {_any(applied)}" if invalid else ""
    connection.execute(f"CREATE VIEW {TYPED} AS SELECT {values} FROM {DATASET}{where}")
    return Validity(total, invalid)


def all_rules(spec: DatasetSpec, schema: Schema) -> list[Rule]:
    """Every rule of every column."""
    found = [rule for field in schema.fields for rule in rules(field)]
    if spec.weight:
        found.append(Rule(spec.weight, "below 0", f"({cast(schema.field(spec.weight))}) < 0"))
    return found


def _count(connection: Connection, applied: Sequence[Rule]) -> tuple[int, int, Sequence[int]]:
    """Rows in all, rows that break any rule, and rows that break each one."""
    if not applied:
        return row(connection, f"SELECT count(*) FROM {DATASET}")[0], 0, ()
    each = ", ".join(f"count(*) FILTER ({rule.condition})" for rule in applied)
    total, invalid, *counts = row(
        connection, f"SELECT count(*), count(*) FILTER ({_any(applied)}), {each} FROM {DATASET}"
    )
    return total, invalid, counts


def _any(applied: Sequence[Rule]) -> str:
    return "coalesce(" + " OR ".join(f"({rule.condition})" for rule in applied) + ", false)"


def _too_many(
    spec: DatasetSpec, schema: Schema, broken: list[tuple[Rule, int]], invalid: int, total: int
) -> PermanentError:
    worst = sorted(broken, key=lambda item: -item[1])[:WORST]
    details = [f"{rule.column}: {count} rows {rule.offence}" for rule, count in worst]
    changed = [
        f"{rule.column} was {schema.pins[rule.column]}"
        for rule, _ in worst
        if rule.of_type and rule.column in schema.pins
    ]
    if changed:
        message = f"columns changed their type since the current version ({', '.join(changed)}); {'; '.join(details)}; repair the data, or declare the new types in spec.columns"
        return PermanentError("SchemaChanged", message, details)
    message = f"{invalid} of {total} rows are invalid, more than spec.maxInvalidFraction {spec.max_invalid_fraction:g} allows: {'; '.join(details)}; correct them, or raise it to leave such rows out"
    return PermanentError("InvalidRows", message, details)
