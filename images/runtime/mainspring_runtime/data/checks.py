"""What must hold of the rows: the checks of the user and those that every dataset has.

A check passes when it finds nothing. Warnings pass too, with a message: they point at something worth a look that is
no proof of a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from mainspring.api.v1alpha1.dataset import DatasetSpec, Statement, Task
from mainspring.api.v1alpha1.datasetversion import CheckResult
from mainspring_runtime.data import leakage, statements
from mainspring_runtime.data.engine import Connection, explanation, quoted, row, rows
from mainspring_runtime.data.profile import Summary
from mainspring_runtime.data.reading import DATASET
from mainspring_runtime.data.split import UNLABELLED
from mainspring_runtime.data.version import LABELLED, Version

REFRESHED_AT = "refreshed_at"
MAX_RESULTS = 64  # as many as a DatasetVersion can carry
MAX_EXAMPLES = 5
SHOWN_CLASSES = 5


def run(version: Version, summaries: Sequence[Summary], refreshed_at: datetime) -> list[CheckResult]:
    """The outcome of every check, those that failed first. `refreshed_at` is the value of `$refreshed_at`."""
    results = [
        *_built_in(version, summaries),
        *(_run_statement(version, statement, refreshed_at) for statement in version.spec.checks or []),
    ]
    return sorted(results, key=lambda result: result.passed)[:MAX_RESULTS]


def _built_in(version: Version, summaries: Sequence[Summary]) -> list[CheckResult]:
    results = [unique_key(version)] if version.spec.key else []
    results.append(
        every_class_on_every_side(version) if version.spec.task is Task.CLASSIFICATION else rows_on_every_side(version)
    )
    results += [labelled_rows(version)] if version.written.rows[UNLABELLED] else []
    return results + leakage.warnings(version, summaries)


def unique_key(version: Version) -> CheckResult:
    """Two rows with one key could be on one side only, and late labels could not be joined."""
    key = quoted(version.spec.key or "")
    repeated = f"SELECT {key}, count(*) AS n FROM {DATASET} GROUP BY 1 HAVING count(*) > 1"
    keys, affected = row(version.connection, f"SELECT count(*), coalesce(sum(n), 0) FROM ({repeated})")
    message = (
        f"{keys} values of the key {version.spec.key} occur more than once; keep one row for each in spec.prepare"
        if keys
        else ""
    )
    examples = _examples(version.connection, version.spec, repeated) if keys else None
    return _result("unique-key", int(affected), message, examples=examples)


def every_class_on_every_side(version: Version) -> CheckResult:
    """A class that is missing from a side can be neither learned nor judged."""
    target = quoted(version.spec.target)
    classes = [value for (value,) in rows(version.connection, f"SELECT DISTINCT {target} FROM {LABELLED} ORDER BY 1")]
    missing = []
    for side in version.sides:
        present = {
            value for (value,) in rows(version.connection, f"SELECT DISTINCT {target} FROM {version.view(side)}")
        }
        missing += [f"{value} in {side}" for value in classes if value not in present]
    shown = ", ".join(missing[:SHOWN_CLASSES])
    message = (
        f"classes without any row: {shown}; more rows are needed, or a larger fraction in spec.split" if missing else ""
    )
    return _result("every-class-on-every-side", 0, message, passed=not missing)


def rows_on_every_side(version: Version) -> CheckResult:
    """An empty side can teach or prove nothing."""
    empty = [side for side in version.sides if not version.written.rows[side]]
    message = (
        f"there are no rows in {', '.join(empty)}; more rows are needed, or a larger fraction in spec.split"
        if empty
        else ""
    )
    return _result("rows-on-every-side", 0, message, passed=not empty)


def labelled_rows(version: Version) -> CheckResult:
    """Rows without a target wait for it; that is normal while labels are late, so it is not an error."""
    count = version.written.rows[UNLABELLED]
    return _result(
        "labelled-rows",
        count,
        f"{count} rows wait for a value of {version.spec.target}; nothing learns from them or is judged by them",
        passed=True,
    )


def _run_statement(version: Version, statement: Statement, refreshed_at: datetime) -> CheckResult:
    try:
        used = statements.validate(version.connection, statement.sql, parameters=(REFRESHED_AT,))
        values = {REFRESHED_AT: refreshed_at} if used else None
        found = version.connection.execute(f"SELECT count(*) FROM ({statement.sql}\n)", values).fetchall()[0][0]
        examples = _examples(version.connection, version.spec, statement.sql, values) if found else None
    except statements.StatementError as error:
        return _result(statement.name, 0, f"spec.checks: the statement {error}", passed=False)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        return _result(statement.name, 0, f"spec.checks: the statement failed: {explanation(error)}", passed=False)
    return _result(
        statement.name,
        found,
        f"{found} {'row was' if found == 1 else 'rows were'} returned" if found else "",
        examples=examples,
    )


def _examples(
    connection: Connection, spec: DatasetSpec, sql: str, values: dict[str, datetime] | None = None
) -> list[str] | None:
    """The first keys among the offending rows, for those who asked to see them and whose statement returns the key."""
    if not spec.show_examples or not spec.key:
        return None
    relation = connection.execute(f"SELECT * FROM ({sql}\n) LIMIT 0", values)
    if spec.key not in [column[0] for column in relation.description or []]:
        return None
    key = quoted(spec.key)
    found: Sequence[tuple[str]] = connection.execute(
        f"SELECT DISTINCT CAST({key} AS VARCHAR) AS k FROM ({sql}\n) WHERE {key} IS NOT NULL ORDER BY k LIMIT {MAX_EXAMPLES}",
        values,
    ).fetchall()
    return [value[: leakage.MAX_MESSAGE_CHARACTERS] for (value,) in found]


def _result(
    name: str, found: int, message: str, *, passed: bool | None = None, examples: list[str] | None = None
) -> CheckResult:
    """Passed when nothing was found, unless said otherwise."""
    text = (
        message
        if len(message) <= leakage.MAX_MESSAGE_CHARACTERS
        else message[: leakage.MAX_MESSAGE_CHARACTERS - 1] + "…"
    )
    return CheckResult(
        name=name, passed=found == 0 if passed is None else passed, rows=found, message=text, examples=examples
    )
