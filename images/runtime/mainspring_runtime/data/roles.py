"""Which column plays which part, and the mistakes that a spec can make in naming them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from enum import StrEnum

from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.errors import PermanentError

MAX_NAME_CHARACTERS = 128
RESERVED_PREFIX = "mainspring_"
SHOWN_COLUMNS = 20


class Role(StrEnum):
    """The parts that `ColumnProfile.role` knows."""

    FEATURE = "Feature"
    TARGET = "Target"
    KEY = "Key"
    TIMESTAMP = "Timestamp"
    WEIGHT = "Weight"
    SENSITIVE = "Sensitive"
    IGNORED = "Ignored"


def assign(spec: DatasetSpec, columns: Sequence[str]) -> dict[str, Role]:
    """The role of each column, in order.

    Raises `PermanentError` with the reason MissingColumn, InvalidSpec, InvalidColumn or NoFeatures.
    """
    _require_legal_names(columns)
    _require_columns(spec, columns)
    special = _special_roles(spec)
    roles = {name: special.get(name) or _feature_or_ignored(spec, name) for name in columns}
    if Role.FEATURE not in roles.values():
        message = "no column is left as a feature; check spec.features and the columns that spec.prepare selects"
        raise PermanentError("NoFeatures", message, [f"{name}: {role}" for name, role in roles.items()])
    return roles


def _special_roles(spec: DatasetSpec) -> dict[str, Role]:
    """Roles that are given by name; no column may have two."""
    claims = [(f"spec.{role.value.lower()}", name, role) for role, name in _single_roles(spec)]
    claims += [(f"spec.sensitive[{index}]", name, Role.SENSITIVE) for index, name in enumerate(spec.sensitive or [])]
    included = spec.features.include if spec.features else None
    claims += [(f"spec.features.include[{index}]", name, Role.FEATURE) for index, name in enumerate(included or [])]
    claimed: dict[str, tuple[str, Role]] = {}
    for field, name, role in claims:
        if name in claimed:
            message = f"{field} and {claimed[name][0]} both name the column {name!r}; a column has one role"
            raise PermanentError("InvalidSpec", message, [name])
        claimed[name] = (field, role)
    return {name: role for name, (_, role) in claimed.items()}


def _single_roles(spec: DatasetSpec) -> list[tuple[Role, str]]:
    candidates = [
        (Role.TARGET, spec.target),
        (Role.KEY, spec.key),
        (Role.TIMESTAMP, spec.timestamp),
        (Role.WEIGHT, spec.weight),
    ]
    return [(role, name) for role, name in candidates if name]


def _feature_or_ignored(spec: DatasetSpec, name: str) -> Role:
    if not spec.features:
        return Role.FEATURE
    if spec.features.include is not None:
        return Role.FEATURE if name in spec.features.include else Role.IGNORED
    return Role.IGNORED if name in (spec.features.exclude or []) else Role.FEATURE


def _references(spec: DatasetSpec) -> Iterator[tuple[str, str]]:
    """Each place in the spec that names a column of the result."""
    for role, name in _single_roles(spec):
        yield f"spec.{role.value.lower()}", name
    if spec.split.column:
        yield "spec.split.column", spec.split.column
    lists = {
        "spec.sensitive[{}]": spec.sensitive,
        "spec.features.include[{}]": spec.features.include if spec.features else None,
        "spec.features.exclude[{}]": spec.features.exclude if spec.features else None,
        "spec.columns[{}].name": [column.name for column in spec.columns or []],
    }
    for pattern, names in lists.items():
        for index, name in enumerate(names or []):
            yield pattern.format(index), name


def _require_columns(spec: DatasetSpec, columns: Sequence[str]) -> None:
    problems = [_missing(field, name, columns) for field, name in _references(spec) if name not in columns]
    if problems:
        shown = ", ".join(columns[:SHOWN_COLUMNS]) + (", …" if len(columns) > SHOWN_COLUMNS else "")
        raise PermanentError("MissingColumn", f"{problems[0]}; the columns are: {shown}", problems)


def _missing(field: str, name: str, columns: Sequence[str]) -> str:
    folded = {column.casefold(): column for column in columns}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f"; did you mean {folded[close[0]]!r}?" if close else ""
    return f"{field} names the column {name!r}, which the data do not have{hint}"


def _require_legal_names(columns: Sequence[str]) -> None:
    for name in columns:
        if not 0 < len(name) <= MAX_NAME_CHARACTERS:
            message = f"the column {name[:40]!r} has a name of {len(name)} characters; rename it in spec.prepare to 1 to {MAX_NAME_CHARACTERS}"
            raise PermanentError("InvalidColumn", message, [name[:MAX_NAME_CHARACTERS]])
        if name.startswith(RESERVED_PREFIX):
            message = f"the column {name!r} has a name that is used internally; rename it in spec.prepare"
            raise PermanentError("InvalidColumn", message, [name])
