"""`preprocessing: Auto`: what is done with each column, decided once from the training rows and said in notes.

    numbers      missing ones become the median, with a 1/0 column beside them where that is not rare; scaled unless the
                 estimator is made of trees; histogram boosting takes missing values as they are
    times        days since 1970, hour of day, weekday and day of year, as numbers
    categories   one column each (one-hot); a missing category is '', one never seen is all zeros. With more than 50, the
                 49 most frequent keep a column and the rest share one; trees get the rank by frequency instead
    free text    is refused, because no default is right

The result is an `Encoding` (positions, no names at prediction time) and a scikit-learn transformer of its matrix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.encoding import TIME_PARTS, UNSEEN, Array, CategorySource, Encoding, NumericSource, times
from mainspring_runtime.prepared import DatasetColumn, Rows

ONE_HOT_MAX = 50
RANK_MAX = 1000
INDICATOR_SHARE = 0.01
IGNORED = "{}: ignored, because it has one value in all training rows"
FIRST_PART = next(iter(TIME_PARTS))
# A column whose mean is this many standard deviations from zero would lose more than two of float32's seven digits.
OFFSET_RATIO = 100.0


@dataclass(frozen=True)
class Style:
    """What the estimator wants."""

    trees: bool
    keeps_missing: bool


@dataclass
class Plan:
    """What has been decided so far; positions follow from the order of the lists."""

    numeric: list[NumericSource] = field(default_factory=list)
    indicators: list[int] = field(default_factory=list)
    one_hot: list[CategorySource] = field(default_factory=list)
    ranked: list[CategorySource] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def encoding(self) -> Encoding:
        return Encoding(tuple(self.numeric), tuple(self.indicators), (*self.one_hot, *self.ranked))


@dataclass(frozen=True)
class Compiled:
    """`transformer` turns the matrix of `encoding` into features; None when the matrix is good as it is."""

    encoding: Encoding
    transformer: Any | None
    notes: tuple[str, ...]


def compile_columns(columns: Sequence[DatasetColumn], rows: Rows, style: Style) -> Compiled:
    """Decide for every feature. Raises `PermanentError`: UnsupportedColumn or NoFeatures."""
    refuse_text(columns)
    plan = Plan()
    for column in columns:
        _PLANNERS[column.kind](plan, column, rows.columns[column.name], style)
    if not (plan.numeric or plan.one_hot or plan.ranked):
        raise PermanentError(
            "NoFeatures", "no feature varies in the training rows; check spec.features and spec.prepare of the Dataset"
        )
    _describe(plan, rows, style)
    return Compiled(plan.encoding(), _transformer(plan, style), tuple(plan.notes))


def refuse_text(columns: Sequence[DatasetColumn]) -> None:
    """Raise `PermanentError("UnsupportedColumn")` if there is free text among the features."""
    if texts := [column.name for column in columns if column.kind == "String"]:
        message = (
            f"preprocessing: Auto does not know what to do with the free text in {', '.join(map(repr, texts))}; leave it out with "
            "spec.features.exclude of the Dataset, or declare the column as type: Category in spec.columns"
        )
        raise PermanentError("UnsupportedColumn", message, texts)


def numbers_only(columns: Sequence[DatasetColumn]) -> Encoding:
    """`preprocessing: None`: the numeric columns as they are. Raises `PermanentError("UnsupportedColumn")` for others."""
    if others := [column.name for column in columns if column.datatype == "BYTES"]:
        message = (
            f"preprocessing: None gives the estimator a numeric matrix, and {', '.join(map(repr, others))} is not numeric; "
            "set preprocessing: Auto, or leave the column out with spec.features.exclude of the Dataset"
        )
        raise PermanentError("UnsupportedColumn", message, others)
    return Encoding(tuple(NumericSource(column.name) for column in columns))


def _plan_number(plan: Plan, column: DatasetColumn, values: Array, style: Style) -> None:
    _add_number(plan, NumericSource(column.name), values.astype(np.float64), style)


def _plan_time(plan: Plan, column: DatasetColumn, values: Array, style: Style) -> None:
    at = times(values)
    kept = [
        part
        for part in TIME_PARTS
        if _add_number(plan, NumericSource(column.name, part=part), TIME_PARTS[part](at), style)
    ]
    plan.notes.append(f"{column.name}: used as numbers: {', '.join(kept)}" if kept else IGNORED.format(column.name))


def _add_number(plan: Plan, source: NumericSource, values: Array, style: Style) -> bool:
    """Whether the numbers say anything; if so they get a position. Of a time, only the first part speaks for missing ones."""
    known = values[~np.isnan(values)]
    missing = len(values) - len(known) if source.part in (None, FIRST_PART) else 0
    if len(known) == 0 or (missing == 0 and np.all(known == known[0])):
        if source.part is None:
            plan.notes.append(IGNORED.format(source.column))
        return False
    if missing >= INDICATOR_SHARE * len(values) and missing and not style.keeps_missing:
        plan.indicators.append(len(plan.numeric))
    plan.numeric.append(NumericSource(source.column, _offset(known), source.part))
    return True


def _offset(known: Array) -> float:
    """What to subtract before rounding to float32; a whole number, so that whole numbers stay whole."""
    mean, deviation = float(known.mean()), float(known.std())
    return float(np.round(mean)) if abs(mean) > OFFSET_RATIO * deviation > 0 else 0.0


def _plan_category(plan: Plan, column: DatasetColumn, values: Array, style: Style) -> None:
    counts = Counter(values.tolist())
    if len(counts) == 1:
        plan.notes.append(IGNORED.format(column.name))
    elif len(counts) <= ONE_HOT_MAX:
        plan.one_hot.append(CategorySource(column.name, tuple(sorted(counts))))
    else:
        _plan_many(plan, column.name, sorted(counts, key=lambda name: (-counts[name], name)), style)


def _plan_many(plan: Plan, name: str, by_frequency: list[str], style: Style) -> None:
    total = len(by_frequency)
    if style.trees:
        plan.ranked.append(CategorySource(name, tuple(by_frequency[:RANK_MAX]), UNSEEN))
        plan.notes.append(f"{name}: {total} categories, given to the trees as their rank by frequency")
        return
    kept = by_frequency[: ONE_HOT_MAX - 1]
    plan.one_hot.append(CategorySource(name, tuple(kept), float(len(kept))))
    plan.notes.append(
        f"{name}: {total} categories; the {len(kept)} most frequent have a column each, all others share one"
    )


def _describe(plan: Plan, rows: Rows, style: Style) -> None:
    incomplete = [
        source.column
        for source in plan.numeric
        if source.part is None and np.isnan(rows.columns[source.column].astype(np.float64)).any()
    ]
    if incomplete:
        how = "left to the estimator" if style.keeps_missing else "replaced by the median"
        plan.notes.append(f"missing numbers are {how}: {', '.join(incomplete)}")
    if plan.one_hot:
        plan.notes.append(f"encoded as one column per category: {', '.join(source.column for source in plan.one_hot)}")


def _transformer(plan: Plan, style: Style) -> Any | None:
    numbers, flags = len(plan.numeric), len(plan.indicators)
    hot = numbers + flags
    steps = _number_steps(style) if numbers else None
    if steps is None and not plan.one_hot:
        return None
    parts = [
        ("numbers", steps or "passthrough", list(range(numbers))),
        ("missing", "passthrough", list(range(numbers, hot))),
        ("categories", _one_hot(plan.one_hot), list(range(hot, hot + len(plan.one_hot)))),
        ("ranks", "passthrough", list(range(hot + len(plan.one_hot), hot + len(plan.one_hot) + len(plan.ranked)))),
    ]
    return ColumnTransformer([part for part in parts if part[2]])


def _number_steps(style: Style) -> Any | None:
    steps: list[Any] = [] if style.keeps_missing else [SimpleImputer(strategy="median", keep_empty_features=True)]
    if not style.trees:
        steps.append(StandardScaler())
    return make_pipeline(*steps) if steps else None


def _one_hot(sources: Sequence[CategorySource]) -> Any:
    """Codes to columns; a shared column exists where unseen categories have a code of their own."""
    sizes = [len(source.categories) + (source.default >= 0) for source in sources]
    codes = [np.arange(size, dtype=np.float64) for size in sizes]
    return OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False)


_PLANNERS: dict[str, Callable[[Plan, DatasetColumn, Array, Style], None]] = {
    "Float": _plan_number,
    "Integer": _plan_number,
    "Boolean": _plan_number,
    "Timestamp": _plan_time,
    "Category": _plan_category,
}
