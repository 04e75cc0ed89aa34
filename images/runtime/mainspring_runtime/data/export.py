"""The JSON files beside the rows: what training, evaluation and the next preparation read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from mainspring.api.v1alpha1.dataset import ColumnType, DatasetSpec, Task
from mainspring.api.v1alpha1.datasetversion import ColumnProfile
from mainspring_runtime.data import identity
from mainspring_runtime.data.canonical import NUMERIC
from mainspring_runtime.data.engine import quoted, row, rows
from mainspring_runtime.data.history import COLUMNS_FILE, DATASET_FILE
from mainspring_runtime.data.profile import Summary
from mainspring_runtime.data.split import Splitter
from mainspring_runtime.data.version import LABELLED, Version
from mainspring_runtime.errors import PermanentError

PROFILE_FILE = "profile.json"
MAX_CLASSES = 256
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Label: TypeAlias = str | int | bool


@dataclass(frozen=True)
class Classes:
    """Sorted labels of a classification, and the positive one of two."""

    labels: tuple[Label, ...] | None = None
    positive: Label | None = None


def column_profiles(version: Version, summaries: Sequence[Summary]) -> list[ColumnProfile]:
    """The columns as a DatasetVersion shows them. Keys and sensitive columns show counts only."""
    return [_column_profile(version.spec, summary) for summary in summaries]


def classes_of(version: Version) -> Classes:
    """The labels in use. Raises `PermanentError`: NoRows, OneClass, TooManyClasses or InvalidPositive."""
    spec = version.spec
    if not version.rows:
        raise PermanentError(
            "NoRows",
            f"no row has a value of spec.target {spec.target!r} within spec.window; wait for labels or check the source",
        )
    if spec.task is not Task.CLASSIFICATION:
        return Classes()
    labels = sorted(
        label for (label,) in rows(version.connection, f"SELECT DISTINCT {quoted(spec.target)} FROM {LABELLED}")
    )
    if len(labels) < 2:
        raise PermanentError(
            "OneClass",
            f"spec.target {spec.target!r} has the single value {text_of(labels[0])!r}; two classes are needed to learn from",
        )
    if len(labels) > MAX_CLASSES:
        message = f"spec.target {spec.target!r} has {len(labels)} different values, more than {MAX_CLASSES} classes; set spec.task: Regression if it is a quantity"
        raise PermanentError("TooManyClasses", message)
    return Classes(tuple(labels), _positive(spec, labels))


def data_cut(version: Version) -> str | None:
    """The newest timestamp among the rows with a target, RFC 3339."""
    if not version.spec.timestamp:
        return None
    return instant(
        row(version.connection, f"SELECT max(epoch_us({quoted(version.spec.timestamp)})) FROM {LABELLED}")[0]
    )


def write(
    directory: Path, version: Version, summaries: Sequence[Summary], splitter: Splitter, classes: Classes
) -> None:
    """Write `columns.json`, `profile.json` and `dataset.json`."""
    spec = version.spec
    profiles = column_profiles(version, summaries)
    columns = [
        profile.to_dict() | ({"categories": list(summary.categories)} if summary.categories is not None else {})
        for profile, summary in zip(profiles, summaries, strict=True)
    ]
    facts = {
        "task": spec.task.value,
        "target": spec.target,
        "positive": classes.positive,
        "classes": classes.labels,
        "key": spec.key,
        "timestamp": spec.timestamp,
        "weight": spec.weight,
        "sensitive": spec.sensitive or [],
        "features": version.schema.features,
        "rows": {side: version.written.rows[side] for side in version.sides},
        "splitDigest": splitter.digest,
        "dataCut": data_cut(version),
        "testCut": splitter.cuts.test,
        "validationCut": splitter.cuts.validation,
        "recipe": identity.recipe_of(spec),
    }
    _write_json(directory / COLUMNS_FILE, columns)
    _write_json(
        directory / PROFILE_FILE, {"rows": version.rows, "columns": [_profile_entry(summary) for summary in summaries]}
    )
    _write_json(directory / DATASET_FILE, facts)


def instant(microseconds: int) -> str:
    """RFC 3339 of microseconds since 1970."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def text_of(label: Label) -> str:
    """A label as it is written in a spec."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _positive(spec: DatasetSpec, labels: Sequence[Label]) -> Label | None:
    """The declared positive class, by default the greater of two."""
    if spec.positive is None:
        return labels[1] if len(labels) == 2 else None
    by_text = {text_of(label): label for label in labels}
    if len(labels) != 2 or spec.positive not in by_text:
        message = f"spec.positive {spec.positive!r} must be one of two classes; spec.target {spec.target!r} has {', '.join(list(by_text)[:10])}"
        raise PermanentError("InvalidPositive", message)
    return by_text[spec.positive]


def _column_profile(spec: DatasetSpec, summary: Summary) -> ColumnProfile:
    declared = {column.name: column.nullable for column in spec.columns or []}
    shown = summary.type in (*NUMERIC, ColumnType.BOOLEAN) and not summary.is_private
    return ColumnProfile(
        name=summary.name,
        type=summary.type,
        role=summary.role.value,
        nullable=declared.get(summary.name, summary.missing > 0),
        missing=summary.missing,
        distinct=summary.distinct,
        minimum=summary.minimum if shown else None,
        maximum=summary.maximum if shown else None,
        mean=summary.mean if shown else None,
        median=summary.quantiles.get(0.5) if shown and summary.quantiles else None,
    )


def _profile_entry(summary: Summary) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": summary.name,
        "type": summary.type.value,
        "role": summary.role.value,
        "missing": summary.missing,
        "distinct": summary.distinct,
    }
    if summary.is_private:
        return entry
    ranged: dict[str, Any] = {"minimum": summary.minimum, "maximum": summary.maximum}
    if summary.type is ColumnType.TIMESTAMP:
        ranged = {name: None if value is None else instant(int(value)) for name, value in ranged.items()}
    entry |= ranged | {"mean": summary.mean, "standardDeviation": summary.standard_deviation}
    entry["quantiles"] = {f"{share:g}": value for share, value in (summary.quantiles or {}).items()}
    entry["top"] = [{"value": value, "rows": count} for value, count in summary.top]
    return {name: value for name, value in entry.items() if value not in (None, {}, [])}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
