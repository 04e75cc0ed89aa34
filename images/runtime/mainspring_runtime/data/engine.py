"""The DuckDB connection of one preparation: bounded, locked down, and the errors it can raise.

It is locked before the first row is read. It can open the files of the source, the inputs and its own output, nothing
else: no network, no other file, no extension, no Python variable, and no statement can change that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from mainspring_runtime.data.limits import Limits
from mainspring_runtime.errors import PermanentError

Connection = duckdb.DuckDBPyConnection
INTERNAL_SCHEMA = "mainspring"
_ECHO = re.compile(r"\n+(?:Possible |See also |  file = |LINE \d+:)")
_QUOTED = re.compile(r"""(['"]).*?\1""", re.DOTALL)


@contextmanager
def connect(work: Path, limits: Limits, *, threads: int, files: Sequence[Path]) -> Iterator[Connection]:
    """A connection that may read `files` and everything under `work`, with temporary files under `work`."""
    connection = duckdb.connect()
    try:
        for setting, value in (
            ("memory_limit", literal(f"{limits.database_bytes}B")),
            ("threads", str(threads)),
            ("temp_directory", literal(str(work / "spill"))),
            ("TimeZone", "'UTC'"),
            # Several threads need less memory without; one keeps the order all the same.
            ("preserve_insertion_order", "true" if threads == 1 else "false"),
            ("python_enable_replacements", "false"),
            ("autoinstall_known_extensions", "false"),
            ("autoload_known_extensions", "false"),
            ("allowed_directories", _list([work])),
            ("allowed_paths", _list(files)),
            ("enable_external_access", "false"),
            ("lock_configuration", "true"),
        ):
            connection.execute(f"SET {setting} = {value}")
        connection.execute(f"CREATE SCHEMA {INTERNAL_SCHEMA}")
        yield connection
    except duckdb.OutOfMemoryException as error:
        message = (
            f"the data need more memory than the pod has: {explanation(error)}; raise spec.resources.limits.memory"
        )
        raise PermanentError("OutOfMemory", message) from error
    finally:
        connection.close()


def rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a small result."""
    return connection.execute(sql).fetchall()


def row(connection: Connection, sql: str) -> tuple[Any, ...]:
    """The only row of an aggregate."""
    return rows(connection, sql)[0]


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Sequence[str]) -> str:
    """SQL strings for use in `IN (…)` or `[…]`."""
    return ", ".join(literal(text) for text in texts)


def explanation(error: duckdb.Error) -> str:
    """DuckDB's message without its echo of the statement, its list of options, and the data in it.

    The first and the last line say what and why; those between quote a line of the file. A failed conversion quotes the
    value. Messages end up in status, which shows no data.
    """
    lines = [line.strip() for line in _ECHO.split(str(error))[0].splitlines() if line.strip()]
    text = "; ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else type(error).__name__
    return _QUOTED.sub("'…'", text) if isinstance(error, duckdb.ConversionException) else text


def _list(paths: Sequence[Path]) -> str:
    return "[" + literals([str(path) for path in paths]) + "]"
