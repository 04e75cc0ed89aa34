"""SQL of the user: one SELECT, repeatable, run on a connection that cannot leave the data.

A statement is judged by its syntax tree, as DuckDB itself parses it: anything whose value depends on the clock, on
chance or on the session is refused, because the same rows must give the same version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import duckdb

from mainspring.api.v1alpha1.dataset import Statement
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, explanation, rows
from mainspring_runtime.data.reading import DATASET
from mainspring_runtime.errors import PermanentError

# Written without parentheses, these are columns to the parser.
CLOCK_WORDS = ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp")
# DuckDB calls these stable, or they are macros over the clock.
UNSTABLE = ("current_localtime", "current_localtimestamp", "ago", "reservoir_quantile")


class StatementError(Exception):
    """Why a statement is refused or failed, as a sentence without its subject."""


def prepare(connection: Connection, statements: Sequence[Statement]) -> None:
    """Run the statements in order; the result of each becomes the view `dataset`.

    Raises `PermanentError("PrepareFailed")` naming the statement and what DuckDB says.
    """
    for number, statement in enumerate(statements):
        try:
            validate(connection, statement.sql, parameters=())
            _replace_dataset(connection, number, statement.sql)
        except StatementError as error:
            raise PermanentError(
                "PrepareFailed", f"spec.prepare[{number}] ({statement.name}) {error}", [statement.name]
            ) from error


def validate(connection: Connection, sql: str, parameters: Sequence[str]) -> set[str]:
    """Raise `StatementError` unless `sql` is one repeatable SELECT; returns the parameters that it uses."""
    try:
        parsed = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise StatementError(f"is not valid SQL: {explanation(error)}") from error
    if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
        raise StatementError("must be a single SELECT (or WITH … SELECT) statement")
    tree = json.loads(_tree(connection, sql))
    if tree["error"]:
        raise StatementError(f"must be a plain SELECT: {tree['error_message']}")
    for problem in _unrepeatable(tree):
        raise StatementError(problem)
    used = set(parsed[0].named_parameters)
    if unknown := sorted(used - set(parameters)):
        known = (
            f"only {', '.join(f'${name}' for name in parameters)} can be used"
            if parameters
            else "only checks have $refreshed_at"
        )
        raise StatementError(f"uses the parameter ${unknown[0]}; {known}")
    return used


def _tree(connection: Connection, sql: str) -> str:
    text: str = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    return text


def _replace_dataset(connection: Connection, number: int, sql: str) -> None:
    step = f"{INTERNAL_SCHEMA}.step_{number}"
    try:
        # The line break ends a trailing comment of the user's.
        connection.execute(f"CREATE TABLE {step} AS ({sql}\n)")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise StatementError(f"failed: {explanation(error)}") from error
    connection.execute(f"CREATE OR REPLACE VIEW {DATASET} AS SELECT * FROM {step}")
    if number:
        connection.execute(f"DROP TABLE {INTERNAL_SCHEMA}.step_{number - 1}")


def _unrepeatable(tree: Any) -> Iterator[str]:
    refused = _unstable_functions()
    for node in _nodes(tree):
        name = str(node.get("function_name", "")).lower()
        if name in refused or (name == "age" and len(node["children"]) == 1):
            yield f"uses {name}(), which gives another value each time; the same rows must give the same version"
        if node.get("class") == "COLUMN_REF" and ".".join(node["column_names"]).lower() in CLOCK_WORDS:
            yield f"uses {node['column_names'][0]}, which gives another value each time; the same rows must give the same version"
        if node.get("sample"):
            yield "draws a sample, which is another one each time; filter on hash(key) % 10 = 0 or the like instead"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of the tree, without recursion: a deep expression must not exhaust the stack."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


@cache
def _unstable_functions() -> frozenset[str]:
    sql = "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
    with duckdb.connect() as connection:
        found = rows(connection, sql)
    # `error` only aborts.
    return frozenset({name for (name,) in found} - {"error"}) | frozenset(UNSTABLE)
