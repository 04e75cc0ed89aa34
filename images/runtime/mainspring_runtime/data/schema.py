"""The columns of a version: name, type and role, from the declaration, the previous version or the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mainspring.api.v1alpha1.dataset import ColumnSpec, ColumnType, DatasetSpec, SplitBy, Task
from mainspring_runtime.data import roles as role_rules
from mainspring_runtime.data.canonical import NUMERIC, TEXTUAL, Field, Kind, kind_of
from mainspring_runtime.data.engine import Connection, quoted, row
from mainspring_runtime.data.reading import DATASET, columns
from mainspring_runtime.data.roles import Role
from mainspring_runtime.errors import PermanentError

Pins = Mapping[str, ColumnType]
_INFERRED = {
    Kind.TEXT: ColumnType.STRING,
    Kind.INTEGER: ColumnType.INTEGER,
    Kind.FLOAT: ColumnType.FLOAT,
    Kind.BOOLEAN: ColumnType.BOOLEAN,
    Kind.TIMESTAMP: ColumnType.TIMESTAMP,
}


@dataclass(frozen=True)
class Schema:
    """All columns in file order. `pins` are the types that the previous version fixed; empty when none apply."""

    fields: tuple[Field, ...]
    roles: Mapping[str, Role]
    pins: Pins

    @property
    def features(self) -> list[str]:
        return [field.name for field in self.fields if self.roles[field.name] is Role.FEATURE]

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def typed(self, names: Sequence[str]) -> list[tuple[str, ColumnType]]:
        return [(name, self.field(name).type) for name in names]


def resolve(connection: Connection, spec: DatasetSpec, pins: Pins) -> Schema:
    """The schema of the table `dataset`.

    A declared type wins over a pinned one, a pinned one over what the values look like. Raises `PermanentError` with
    the reason InvalidSpec, MissingColumn, SchemaChanged, InvalidColumn or InvalidTarget.
    """
    require_sensible(spec.columns or [])
    raw = columns(connection, DATASET)
    _require_pinned(pins, [name for name, _ in raw])
    roles = role_rules.assign(spec, [name for name, _ in raw])
    declared = {column.name: column for column in spec.columns or []}
    fields = [_field(name, type_, declared.get(name), pins.get(name)) for name, type_ in raw]
    fields = [_target_field(connection, spec, field) if field.name == spec.target else field for field in fields]
    required = _required(spec)
    fields = [replace(field, required=field.name in required) for field in fields]
    schema = Schema(tuple(fields), roles, pins)
    _require_types(spec, schema)
    return schema


def textual(spec: DatasetSpec, pins: Pins) -> set[str]:
    """Names of columns that are to stay text while a text format is read."""
    declared = {column.name: column.type for column in spec.columns or []}
    return {name for name, type_ in {**pins, **declared}.items() if type_ in TEXTUAL}


def require_sensible(declared: Sequence[ColumnSpec]) -> None:
    """Refuse declarations that could have no effect."""
    for problem in _declaration_problems(declared):
        raise PermanentError("InvalidSpec", problem)


def _declaration_problems(declared: Sequence[ColumnSpec]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for index, column in enumerate(declared):
        if column.name in seen:
            yield f"spec.columns[{index}] and spec.columns[{seen[column.name]}] both declare the column {column.name!r}"
        seen[column.name] = index
        if column.type not in NUMERIC and (column.minimum is not None or column.maximum is not None):
            yield f"spec.columns[{index}] ({column.name!r}) has a minimum or maximum, which only Float and Integer columns can have"
        if column.type not in TEXTUAL and column.allowed is not None:
            yield f"spec.columns[{index}] ({column.name!r}) has allowed values, which only Category and String columns can have"


def _require_pinned(pins: Pins, names: Sequence[str]) -> None:
    gone = [name for name in pins if name not in names]
    if gone:
        message = f"the column {gone[0]!r} of the current version is no longer in the data; restore it, or declare the new columns in spec.columns"
        raise PermanentError("SchemaChanged", message, gone)


def _field(name: str, duckdb_type: str, declared: ColumnSpec | None, pinned: ColumnType | None) -> Field:
    kind = kind_of(duckdb_type)
    if kind is None:
        message = f"the column {name!r} has the type {duckdb_type}, which is not a number, text, boolean or time; flatten it or leave it out in spec.prepare"
        raise PermanentError("InvalidColumn", message, [name])
    if declared:
        return Field(name, kind, declared.type, spec=declared)
    return Field(name, kind, pinned or _INFERRED[kind], inferred=pinned is None)


def _target_field(connection: Connection, spec: DatasetSpec, field: Field) -> Field:
    """Text classes are categories, and whole numbers that were read as floats are integers."""
    if spec.task is not Task.CLASSIFICATION or not field.inferred:
        return field
    if field.kind is Kind.TEXT:
        return replace(field, type=ColumnType.CATEGORY, inferred=False)
    if field.kind is Kind.FLOAT and _is_whole(connection, field.name):
        return replace(field, type=ColumnType.INTEGER)
    return field


def _is_whole(connection: Connection, name: str) -> bool:
    column = quoted(name)
    return bool(
        row(connection, f"SELECT count(*) FILTER ({column} <> trunc({column}) AND NOT isnan({column})) FROM {DATASET}")[
            0
        ]
        == 0
    )


def _required(spec: DatasetSpec) -> set[str]:
    """Columns without whose value a row can neither be identified nor placed."""
    return {
        name
        for name in (
            spec.key,
            spec.timestamp,
            spec.weight,
            spec.split.column if spec.split.by is SplitBy.GROUP else None,
        )
        if name
    }


def _require_types(spec: DatasetSpec, schema: Schema) -> None:
    target = schema.field(spec.target).type
    if spec.task is Task.REGRESSION and target not in NUMERIC:
        message = f"spec.target {spec.target!r} is a {target} column, and a regression needs numbers; set spec.task: Classification, or declare the column Float"
        raise PermanentError("InvalidTarget", message, [spec.target])
    if spec.task is Task.CLASSIFICATION and target in (ColumnType.FLOAT, ColumnType.TIMESTAMP):
        message = f"spec.target {spec.target!r} is a {target} column, and classes must be categories, whole numbers or booleans; set spec.task: Regression, or declare the column Category"
        raise PermanentError("InvalidTarget", message, [spec.target])
    if spec.timestamp and schema.field(spec.timestamp).type is not ColumnType.TIMESTAMP:
        message = f"spec.timestamp {spec.timestamp!r} is a {schema.field(spec.timestamp).type} column, not a time; convert it in spec.prepare, for example with strptime or to_timestamp"
        raise PermanentError("InvalidColumn", message, [spec.timestamp])
    if spec.weight and schema.field(spec.weight).type not in NUMERIC:
        message = f"spec.weight {spec.weight!r} is a {schema.field(spec.weight).type} column; weights are numbers of at least 0"
        raise PermanentError("InvalidColumn", message, [spec.weight])
