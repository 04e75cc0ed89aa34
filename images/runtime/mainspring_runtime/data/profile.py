"""What is in each column: counts, range, mean and quantiles over all rows of the version.

Everything is exact except distinct counts above 10,000 (see `statistics`) and quantiles of more than a million rows,
which come from the first rows of each file in proportion: rows stand in hash order, so those are a random sample, and
always the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from mainspring.api.v1alpha1.dataset import ColumnType
from mainspring_runtime.data.canonical import NUMERIC, TEXTUAL, Field
from mainspring_runtime.data.engine import quoted, rows
from mainspring_runtime.data.roles import Role
from mainspring_runtime.data.statistics import ColumnStatistics, Moments
from mainspring_runtime.data.version import LABELLED, Version
from mainspring_runtime.errors import PermanentError

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
QUANTILE_ROWS = 1_000_000
CATEGORY_MAX_VALUES = 50
CATEGORY_MAX_SHARE = 0.5
AVERAGED = (ColumnType.FLOAT, ColumnType.INTEGER, ColumnType.BOOLEAN)
MAX_CATEGORIES = 10_000
TOP_VALUES = 10
# Values of these identify people, so a profile shows their counts only.
PRIVATE = (Role.KEY, Role.SENSITIVE)


Sample: TypeAlias = list[tuple[Any, int]]


@dataclass(frozen=True)
class Summary:
    """One column, as `profile.json` has it. Times are microseconds since 1970."""

    name: str
    type: ColumnType
    role: Role
    missing: int
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    standard_deviation: float | None = None
    quantiles: Mapping[float, float] | None = None
    categories: tuple[str, ...] | None = None
    top: tuple[tuple[str, int], ...] = ()

    @property
    def is_private(self) -> bool:
        return self.role in PRIVATE


def summarise(version: Version) -> list[Summary]:
    """The columns in file order. Raises `PermanentError("TooManyCategories")`."""
    with ExitStack() as stack:
        sample = _open_sample(version, stack)
        return [_summary(version, field, sample) for field in version.schema.fields]


def _summary(version: Version, field: Field, sample: Sample) -> Summary:
    found = version.statistics(field.name)
    summary = Summary(
        name=field.name,
        type=_decided_type(field, found),
        role=version.schema.roles[field.name],
        missing=found.missing,
        distinct=found.sketch.count,
        minimum=found.minimum,
        maximum=found.maximum,
    )
    if field.type in AVERAGED and found.present:
        summary = _with_moments(summary, found.moments)
    if field.type in NUMERIC and found.present:
        summary = replace(summary, quantiles=_quantiles(sample, field.name))
    return _with_categories(version, summary) if summary.type is ColumnType.CATEGORY else summary


def _with_moments(summary: Summary, moments: Moments) -> Summary:
    return replace(summary, mean=moments.mean, standard_deviation=math.sqrt(moments.squares / moments.count))


def _open_sample(version: Version, stack: ExitStack) -> Sample:
    """The files to take quantiles from, each with the number of its first rows to read."""
    total = max(version.rows, QUANTILE_ROWS)
    return [
        (stack.enter_context(pq.ParquetFile(version.files[side])), version.written.rows[side] * QUANTILE_ROWS // total)
        for side in version.sides
    ]


def _quantiles(sample: Sample, name: str) -> dict[float, float]:
    values = np.concatenate([_first_values(file, name, rows) for file, rows in sample])
    return dict(zip(QUANTILES, np.quantile(values, QUANTILES).tolist(), strict=True)) if len(values) else {}


def _first_values(file: Any, name: str, rows: int) -> npt.NDArray[Any]:
    """What is not missing of a column in the first rows of a file."""
    groups, found = 0, 0
    while found < rows:
        found += file.metadata.row_group(groups).num_rows
        groups += 1
    values: npt.NDArray[Any] = (
        file.read_row_groups(range(groups), [name]).column(name).slice(0, rows).drop_null().to_numpy()
    )
    return values


def _with_categories(version: Version, summary: Summary) -> Summary:
    if summary.distinct > MAX_CATEGORIES:
        message = f"the Category column {summary.name!r} has {summary.distinct} different values, more than {MAX_CATEGORIES}; declare it as String in spec.columns"
        raise PermanentError("TooManyCategories", message, [summary.name])
    column = quoted(summary.name)
    counts = rows(
        version.connection, f"SELECT {column}, count(*) FROM {LABELLED} WHERE {column} IS NOT NULL GROUP BY 1"
    )
    top = sorted(counts, key=lambda item: (-item[1], item[0]))[:TOP_VALUES]
    return replace(summary, categories=tuple(sorted(value for value, _ in counts)), top=tuple(top))


def _decided_type(field: Field, found: ColumnStatistics) -> ColumnType:
    """Text with few distinct values is a Category, unless the type was declared or pinned."""
    if not field.inferred or field.type not in TEXTUAL:
        return field.type
    few = 0 < found.sketch.count <= CATEGORY_MAX_VALUES and found.sketch.count < CATEGORY_MAX_SHARE * found.present
    return ColumnType.CATEGORY if few else ColumnType.STRING
