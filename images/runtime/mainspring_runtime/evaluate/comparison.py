"""Candidate against champion, on rows that neither was trained on.

With one and the same split rule a row of the candidate's test side was never on the champion's training side: Hash and
Group splits move no row, and a Time split only moves rows from test to train. So the candidate's test rows serve both.
Whatever prevents a fair comparison makes it inconclusive, with the reason; it is never a failure of the candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from mainspring.api.contract import CompareTask, RequestedComparison
from mainspring.api.v1alpha1.model import GateRows
from mainspring.api.v1alpha1.modelversion import ComparedMetric
from mainspring.api.v1alpha1.trainingrun import LESS_IS_BETTER, Metric
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import metrics as table
from mainspring_runtime.evaluate import predicting, resampling
from mainspring_runtime.evaluate.metrics import Array, Predictions
from mainspring_runtime.model.encoding import Columns
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.signature import Column, Label
from mainspring_runtime.prepared import PreparedDataset, Rows

FEWEST_ROWS = 30
SEED = 0

Loaded = TypeVar("Loaded")
MAX_REASON_CHARACTERS = 256


@dataclass(frozen=True)
class Pair:
    """What both say about the same rows."""

    candidate: Predictions
    champion: Predictions
    timestamp: Array | None


class Inconclusive(Exception):
    """Why there can be no verdict: a sentence."""


def compare(
    task: CompareTask,
    candidate: Predictor,
    load_champion: Callable[[], Predictor],
    load_dataset: Callable[[], PreparedDataset],
) -> list[ComparedMetric]:
    """One result for each requested metric. The champion and the dataset are loaded only when they are needed.

    Raises `RetryableError` when the store does not answer.
    """
    try:
        _require_one_split(task)
        champion = _loaded("champion", load_champion)
        if champion.path == "custom" or candidate.path == "custom":
            raise Inconclusive("a version in a custom format cannot be run here")
        dataset = _loaded("candidate's dataset", load_dataset)
        pair = pair_up(candidate, champion, dataset.rows("test"))
    except Inconclusive as reason:
        return [_undecided(wanted, GateRows(wanted.on or GateRows.ALL), 0, str(reason)) for wanted in task.metrics]
    default = GateRows.RECENT if dataset.timestamp else GateRows.ALL
    return [
        _compare_one(wanted, GateRows(wanted.on or default), pair, task.champion_data_cut) for wanted in task.metrics
    ]


def pair_up(candidate: Predictor, champion: Predictor, rows: Rows) -> Pair:
    """Predict the rows with both, looked at alike. Raises `Inconclusive`."""
    if candidate.signature.task != champion.signature.task:
        raise Inconclusive(f"the champion does {champion.signature.task}, the candidate {candidate.signature.task}")
    classes = _common_classes(candidate, champion, rows)
    positive = candidate.document.positive
    parts = []
    for name, predictor in (("candidate", candidate), ("champion", champion)):
        columns = _conform(name, rows.columns, predictor.signature.inputs)
        try:
            found = predicting.outputs(predictor, columns)
            parts.append(predicting.arrange(predictor, rows, found, classes, positive))
        except PermanentError as error:
            raise Inconclusive(f"the {name} cannot predict the test rows: {error.message}") from error
    return Pair(parts[0], parts[1], rows.timestamp)


def _require_one_split(task: CompareTask) -> None:
    if task.split_digest is None or task.split_digest != task.champion_split_digest:
        raise Inconclusive(
            "the datasets of champion and candidate are split by different rules, so no rows are held out from both"
        )


def _loaded(name: str, load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except PermanentError as error:
        raise Inconclusive(f"the {name} cannot be loaded: {error.message}") from error


def _common_classes(candidate: Predictor, champion: Predictor, rows: Rows) -> tuple[Label, ...] | None:
    if candidate.document.classes is None or champion.document.classes is None:
        return None
    labels = {*candidate.document.classes, *champion.document.classes, *rows.target.tolist()}
    if len({type(label) for label in labels}) > 1:
        raise Inconclusive("the classes of champion and candidate are of different types")
    return tuple(sorted(labels))


def _conform(name: str, columns: Columns, wanted: Sequence[Column]) -> Mapping[str, Array]:
    """The columns in the datatypes of another version's signature."""
    found: dict[str, Array] = {}
    for column in wanted:
        values = columns.get(column.name)
        if values is None:
            raise Inconclusive(
                f"the {name} needs the column {column.name!r}, which is no feature of the candidate's dataset"
            )
        if (column.datatype == "BYTES") != (values.dtype == object):
            raise Inconclusive(
                f"the column {column.name!r} has another type than the one that the {name} was trained on"
            )
        if column.datatype in ("INT64", "BOOL") and values.dtype.kind == "f" and np.isnan(values).any():
            raise Inconclusive(f"the column {column.name!r} has missing values now, which the {name} does not take")
        found[column.name] = values.astype(_DTYPES[column.datatype])
    return found


def _compare_one(wanted: RequestedComparison, on: GateRows, pair: Pair, data_cut: str | None) -> ComparedMetric:
    try:
        chosen = _chosen(on, pair, data_cut)
    except Inconclusive as reason:
        return _undecided(wanted, on, 0, str(reason))
    candidate, champion = pair.candidate.take(chosen), pair.champion.take(chosen)
    rows = len(candidate.target)
    if problem := _unmeasurable(wanted.metric, candidate, champion, rows):
        return _undecided(wanted, on, rows, problem)
    found = resampling.difference(
        table.compile_metric(wanted.metric, candidate), table.compile_metric(wanted.metric, champion), rows, SEED
    )
    if found is None:
        return _undecided(wanted, on, rows, f"{wanted.metric} is undefined on these rows (does every class occur?)")
    sign = -1 if wanted.metric in LESS_IS_BETTER else 1
    lower, upper = sorted((sign * found.lower, sign * found.upper))
    return ComparedMetric(
        metric=wanted.metric,
        on=on,
        difference=sign * found.value,
        lower=lower,
        upper=upper,
        rows=rows,
        smallest_detectable=found.smallest_detectable,
    )


def _chosen(on: GateRows, pair: Pair, data_cut: str | None) -> Array:
    """Which rows [N] to look at. Raises `Inconclusive` when Recent has no meaning."""
    if on is GateRows.ALL:
        return np.ones(len(pair.candidate.target), dtype=bool)
    if pair.timestamp is None or data_cut is None:
        raise Inconclusive("rows: Recent needs spec.timestamp in the datasets of champion and candidate")
    cut = np.datetime64(datetime.fromisoformat(data_cut).astimezone(UTC).replace(tzinfo=None), "us")
    recent: Array = pair.timestamp > cut
    return recent


def _unmeasurable(metric: Metric, candidate: Predictions, champion: Predictions, rows: int) -> str | None:
    """Why the metric says nothing about these rows; None when it does."""
    needed = table.CALIBRATION_ROWS if metric is Metric.EXPECTED_CALIBRATION_ERROR else FEWEST_ROWS
    if rows < needed:
        return f"only {rows} rows are held out from both versions; {metric} needs at least {needed}"
    if problem := table.applicable(metric, candidate):
        return problem
    problem = table.applicable(metric, champion)
    return f"the champion: {problem}" if problem else None


def _undecided(wanted: RequestedComparison, on: GateRows, rows: int, reason: str) -> ComparedMetric:
    return ComparedMetric(metric=wanted.metric, on=on, rows=rows, inconclusive=reason[:MAX_REASON_CHARACTERS])


_DTYPES = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": object}
