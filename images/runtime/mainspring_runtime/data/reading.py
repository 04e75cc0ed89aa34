"""The source's files as the table `dataset`, with a real type for each column.

Parquet is read where it is used, again for each pass: decoding is cheaper than a second copy. Text formats are parsed
once into a table. The dialect of CSV is RFC 4180 with a header line; only the delimiter is found out (from the header),
because guessing more turns a broken file into a wrong table instead of an error with a line number.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from mainspring.api.v1alpha1.dataset import ColumnType, Format
from mainspring_runtime.data import canonical, inference
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, explanation, literal, literals, quoted, rows
from mainspring_runtime.errors import PermanentError

DATASET = "dataset"
DELIMITERS = ",;\t|"
EXTENSIONS = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
}
_PARSED = f"{INTERNAL_SCHEMA}.parsed"


@dataclass(frozen=True)
class SourceFile:
    """A local file and the name by which the user knows it."""

    path: Path
    name: str


def format_of(names: Sequence[str], declared: Format | None) -> Format:
    """The declared format, or the one that all file names agree on."""
    if declared:
        return declared
    found = {_extension(name): name for name in names}
    formats = {EXTENSIONS.get(extension) for extension in found}
    if len(formats) == 1 and (only := formats.pop()):
        return only
    examples = ", ".join(sorted(found.values())[:3])
    message = f"the format cannot be told from the file names ({examples}); set spec.source.format to CSV, Parquet or JSONLines"
    raise PermanentError("UnknownFormat", message)


def load(connection: Connection, files: Sequence[SourceFile], format_: Format, textual: Collection[str]) -> None:
    """Create the view `dataset`. Columns in `textual` are not turned into numbers or dates.

    Raises `PermanentError("SourceUnreadable")` with the file and, where there is one, the line.
    """
    try:
        _READERS[format_](connection, files, textual)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise unreadable(files, explanation(error)) from error


def unreadable(files: Sequence[SourceFile], message: str) -> PermanentError:
    """The error for a file that cannot be parsed, under the user's name for it."""
    named = [file for file in files if str(file.path) in message] or files[:1]
    for file in named:
        message = message.replace(str(file.path), file.name)
    return PermanentError(
        "SourceUnreadable", f"{named[0].name} cannot be read: {message}", [file.name for file in named]
    )


def _load_parquet(connection: Connection, files: Sequence[SourceFile], _: Collection[str]) -> None:
    paths = literals([str(file.path) for file in files])
    connection.execute(f"CREATE VIEW {DATASET} AS SELECT * FROM read_parquet([{paths}], union_by_name = true)")
    # A view only reads the footers; a broken page would otherwise be found in the middle of the work.
    connection.execute(f"SELECT count(*) FROM {DATASET}").fetchall()


def _load_json_lines(connection: Connection, files: Sequence[SourceFile], textual: Collection[str]) -> None:
    paths = literals([str(file.path) for file in files])
    options = "format = 'newline_delimited', sample_size = -1, union_by_name = true"
    connection.execute(f"CREATE TABLE {_PARSED} AS SELECT * FROM read_json([{paths}], {options})")
    types = dict(columns(connection, _PARSED))
    # JSON is what DuckDB calls a column of null only or of mixed types: it is read like text. JSON has no type for times.
    loose = [name for name, type_ in types.items() if type_ == "JSON"]
    for name in loose:
        connection.execute(f"ALTER TABLE {_PARSED} ALTER {quoted(name)} TYPE VARCHAR USING {quoted(name)} ->> '$'")
    text = [name for name, type_ in types.items() if type_ == "VARCHAR"]
    candidates = {**dict.fromkeys(text, inference.TIMES), **dict.fromkeys(loose, inference.ANYTHING)}
    _type_text(connection, {name: possible for name, possible in candidates.items() if name not in textual})


def _load_csv(connection: Connection, files: Sequence[SourceFile], textual: Collection[str]) -> None:
    by_header: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
    for file in files:
        by_header[_header(file)].append(file.path)
    parts = [_csv_reader(delimiter, names, paths) for (delimiter, names), paths in by_header.items()]
    connection.execute(f"CREATE TABLE {_PARSED} AS {' UNION ALL BY NAME '.join(parts)}")
    _type_text(
        connection, {name: inference.ANYTHING for name, _ in columns(connection, _PARSED) if name not in textual}
    )


def release(connection: Connection) -> None:
    """Drop the tables that were parsed or prepared; `dataset` is not usable afterwards."""
    for (name,) in rows(connection, f"SELECT table_name FROM duckdb_tables() WHERE schema_name = '{INTERNAL_SCHEMA}'"):
        connection.execute(f"DROP TABLE {INTERNAL_SCHEMA}.{quoted(name)}")


def columns(connection: Connection, table: str) -> list[tuple[str, str]]:
    """Names and DuckDB types of the columns of a table, in order."""
    return [(name, type_) for name, type_, *_ in rows(connection, f"DESCRIBE {table}")]


def _type_text(connection: Connection, candidates: inference.Candidates) -> None:
    """Turn text columns of the parsed table into what they contain, and make it the dataset."""
    types = inference.infer(connection, _PARSED, candidates)
    connection.execute(f"CREATE TABLE {INTERNAL_SCHEMA}.typed AS SELECT *{_replacements(types)} FROM {_PARSED}")
    connection.execute(f"DROP TABLE {_PARSED}")
    connection.execute(f"CREATE VIEW {DATASET} AS SELECT * FROM {INTERNAL_SCHEMA}.typed")


def _replacements(types: Mapping[str, ColumnType]) -> str:
    fields = [
        canonical.Field(name, canonical.Kind.TEXT, type_)
        for name, type_ in types.items()
        if type_ not in canonical.TEXTUAL
    ]
    if not fields:
        return ""
    # The infinite stays: only the canonical rules may call a row invalid.
    return f" REPLACE ({', '.join(f'{canonical.cast(field)} AS {quoted(field.name)}' for field in fields)})"


def _csv_reader(delimiter: str, names: Sequence[str], paths: Sequence[Path]) -> str:
    struct = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"SELECT * FROM read_csv([{literals([str(path) for path in paths])}], columns = {{{struct}}}, auto_detect = false, "
        f"header = true, delim = {literal(delimiter)}, quote = '\"', escape = '\"', strict_mode = true, buffer_size = 8388608)"
    )


def _header(file: SourceFile) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names of a CSV file; a column without a name (an index that was saved along) gets one."""
    try:
        with gzip.open(file.path) if file.path.suffix == ".gz" else file.path.open("rb") as binary:
            # Only the header is read here, but decoding runs ahead: other bytes further down are DuckDB's to report.
            stream = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
            delimiter = _delimiter(stream.readline())
            stream.seek(0)
            names = next(csv.reader(stream, delimiter=delimiter), [])
    except (csv.Error, gzip.BadGzipFile, EOFError) as error:
        raise unreadable([file], f"line 1: {error}") from error
    if not any(names):
        raise PermanentError("NoRows", f"{file.name} is empty; a header line with the column names is expected")
    repeated = sorted({name for name in names if names.count(name) > 1 and name})
    if repeated:
        raise unreadable([file], f"line 1: the column {repeated[0]!r} occurs more than once")
    if any("\ud800" <= character <= "\udfff" for character in "".join(names)):
        raise unreadable([file], "line 1: the column names are not UTF-8")
    return delimiter, tuple(name or f"unnamed_{position}" for position, name in enumerate(names, start=1))


def _delimiter(line: str) -> str:
    """The most frequent candidate outside of quotes; a comma when there is none."""
    bare = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=lambda candidate: (bare.count(candidate), candidate == ","))


def _extension(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


_READERS = {Format.CSV: _load_csv, Format.PARQUET: _load_parquet, Format.JSON_LINES: _load_json_lines}
