"""A version's own figures: each metric on its held-out rows, with an interval, and what a reader must know about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mainspring.api.v1alpha1.trainingrun import Metric, MetricValue
from mainspring_runtime.evaluate import metrics as table
from mainspring_runtime.evaluate import resampling
from mainspring_runtime.evaluate.metrics import Predictions

SMALL_TEST_ROWS = 200


@dataclass(frozen=True)
class Measured:
    """`values` in the order asked for; `notes` are sentences."""

    values: tuple[MetricValue, ...]
    notes: tuple[str, ...] = ()


def measure(predictions: Predictions, wanted: Sequence[Metric], seed: int) -> Measured:
    """The metrics that can be had, with 95 % intervals; the notes name the others."""
    rows = len(predictions.target)
    notes = _warnings(rows)
    if Metric.EXPECTED_CALIBRATION_ERROR in wanted and rows < table.CALIBRATION_ROWS:
        wanted = [metric for metric in wanted if metric is not Metric.EXPECTED_CALIBRATION_ERROR]
        notes.append(
            f"expected_calibration_error is left out: it needs {table.CALIBRATION_ROWS} test rows, there are {rows}"
        )
    statistics = [table.compile_metric(metric, predictions) for metric in wanted]
    resamples = resampling.resample(statistics, rows, seed) if statistics else []
    values = []
    for metric, statistic, drawn in zip(wanted, statistics, resamples, strict=True):
        centre = metric is Metric.EXPECTED_CALIBRATION_ERROR
        found = resampling.estimate(statistic, drawn, rows, centre=centre)
        if np.isfinite(found.value):
            values.append(MetricValue(name=metric, value=found.value, lower=found.lower, upper=found.upper, rows=rows))
        else:
            notes.append(f"{metric} is undefined on these test rows (does every class occur, does the target vary?)")
    return Measured(tuple(values), tuple(notes))


def _warnings(rows: int) -> list[str]:
    if rows >= SMALL_TEST_ROWS:
        return []
    return [
        f"only {rows} test rows: the intervals are rough, and gates that compare versions will rarely reach a verdict"
    ]
