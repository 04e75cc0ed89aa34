from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as reference

from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import metrics as table
from mainspring_runtime.evaluate import resampling
from mainspring_runtime.evaluate.measuring import measure
from mainspring_runtime.evaluate.metrics import Predictions

Array = npt.NDArray[Any]


def classification(rows: int, classes: int, seed: int = 0, decimals: int = 2) -> Predictions:
    """Informative probabilities with many ties."""
    generator = np.random.default_rng(seed)
    target = generator.integers(0, classes, rows)
    logits = generator.normal(size=(rows, classes))
    logits[np.arange(rows), target] += 1
    probabilities = np.round(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), decimals) + 1e-9
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Predictions(
        target, probabilities.argmax(axis=1), classes, 1 if classes == 2 else None, probabilities, probabilities
    )


def regression(rows: int, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    target = generator.normal(100, 10, rows)
    return Predictions(target, target + generator.normal(1, 5, rows))


def one_hot(predictions: Predictions) -> Array:
    return np.eye(predictions.classes)[predictions.target]


Reference = Callable[[Predictions, Array], float]

BINARY: dict[Metric, Reference] = {
    Metric.ACCURACY: lambda p, w: reference.accuracy_score(p.target, p.predicted, sample_weight=w),
    Metric.BALANCED_ACCURACY: lambda p, w: reference.balanced_accuracy_score(p.target, p.predicted, sample_weight=w),
    Metric.F1: lambda p, w: reference.f1_score(p.target, p.predicted, sample_weight=w),
    Metric.PRECISION: lambda p, w: reference.precision_score(p.target, p.predicted, sample_weight=w),
    Metric.RECALL: lambda p, w: reference.recall_score(p.target, p.predicted, sample_weight=w),
    Metric.ROC_AUC: lambda p, w: reference.roc_auc_score(p.target, scores(p)[:, 1], sample_weight=w),
    Metric.AVERAGE_PRECISION: lambda p, w: reference.average_precision_score(
        p.target, scores(p)[:, 1], sample_weight=w
    ),
    Metric.LOG_LOSS: lambda p, w: reference.log_loss(p.target, scores(p), sample_weight=w),
    Metric.BRIER_SCORE: lambda p, w: reference.brier_score_loss(p.target, scores(p)[:, 1], sample_weight=w),
}
MULTICLASS: dict[Metric, Reference] = {
    Metric.ACCURACY: BINARY[Metric.ACCURACY],
    Metric.BALANCED_ACCURACY: BINARY[Metric.BALANCED_ACCURACY],
    Metric.F1: lambda p, w: reference.f1_score(p.target, p.predicted, average="macro", sample_weight=w),
    Metric.PRECISION: lambda p, w: reference.precision_score(p.target, p.predicted, average="macro", sample_weight=w),
    Metric.RECALL: lambda p, w: reference.recall_score(p.target, p.predicted, average="macro", sample_weight=w),
    Metric.ROC_AUC: lambda p, w: reference.roc_auc_score(one_hot(p), scores(p), average="macro", sample_weight=w),
    Metric.AVERAGE_PRECISION: lambda p, w: reference.average_precision_score(one_hot(p), scores(p), sample_weight=w),
    Metric.LOG_LOSS: BINARY[Metric.LOG_LOSS],
    Metric.BRIER_SCORE: lambda p, w: reference.brier_score_loss(p.target, scores(p), sample_weight=w),
}
REGRESSION: dict[Metric, Reference] = {
    Metric.R2: lambda p, w: reference.r2_score(p.target, p.predicted, sample_weight=w),
    Metric.MEAN_ABSOLUTE_ERROR: lambda p, w: reference.mean_absolute_error(p.target, p.predicted, sample_weight=w),
    Metric.ROOT_MEAN_SQUARED_ERROR: lambda p, w: reference.root_mean_squared_error(
        p.target, p.predicted, sample_weight=w
    ),
    Metric.MEDIAN_ABSOLUTE_ERROR: lambda p, w: float(
        np.median(np.repeat(np.abs(p.target - p.predicted), w.astype(int)))
    ),
}
CASES = [
    *((metric, classification(301, 2), expected) for metric, expected in BINARY.items()),
    *((metric, classification(301, 4), expected) for metric, expected in MULTICLASS.items()),
    *((metric, regression(301), expected) for metric, expected in REGRESSION.items()),
]


def scores(predictions: Predictions) -> Array:
    assert predictions.probabilities is not None
    return predictions.probabilities


@pytest.mark.parametrize(("metric", "predictions", "expected"), CASES)
def test_every_metric_is_what_scikit_learn_says_for_any_row_counts(
    metric: Metric, predictions: Predictions, expected: Reference
) -> None:
    rows = len(predictions.target)
    counts = np.stack([np.ones(rows), np.random.default_rng(1).integers(0, 4, rows).astype(float)])
    found = table.compile_metric(metric, predictions)(counts)
    np.testing.assert_allclose(found, [expected(predictions, row) for row in counts], rtol=1e-9)


def test_every_metric_of_the_closed_table_is_tested() -> None:
    assert {metric for metric, _, _ in CASES} | {Metric.EXPECTED_CALIBRATION_ERROR} == set(Metric)


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.0), (0.1, 0.1)])
def test_the_calibration_error_is_free_of_the_part_that_noise_adds(shift: float, truth: float) -> None:
    found, plain = [], []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        confidence = generator.uniform(0.2, 0.8, 2000)
        target = (generator.random(2000) < confidence - shift).astype(np.int64)
        probabilities = np.stack([1 - confidence, confidence], axis=1)
        predictions = Predictions(target, (confidence > 0.5).astype(np.int64), 2, 1, probabilities, probabilities)
        found.append(table.compile_metric(Metric.EXPECTED_CALIBRATION_ERROR, predictions)(np.ones((1, 2000)))[0])
        bins = np.array_split(np.argsort(confidence), table.CALIBRATION_BINS)
        plain.append(sum(len(b) * abs(confidence[b].mean() - target[b].mean()) for b in bins) / 2000)
    assert np.mean(found) == pytest.approx(truth, abs=0.012)
    assert np.mean(found) < np.mean(plain)


def test_a_metric_of_another_task_is_refused_with_those_that_can_be_had() -> None:
    with pytest.raises(
        PermanentError,
        match=r"spec\.evaluation\.metrics: r2 is not a metric for task: Classification; possible here: accuracy",
    ) as raised:
        table.require([Metric.R2], classification(50, 2), "spec.evaluation.metrics")
    assert raised.value.reason == "InvalidMetric"


def test_a_metric_of_probabilities_needs_probabilities() -> None:
    labels_only = Predictions(np.array([0, 1]), np.array([0, 1]), 2, 1)
    with pytest.raises(PermanentError, match="log_loss needs probabilities"):
        table.require([Metric.LOG_LOSS], labels_only, "spec.evaluation.metrics")
    assert table.default_metrics(labels_only) == (Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.F1)
    assert table.default_primary(labels_only) == Metric.ACCURACY


def test_defaults_follow_the_task() -> None:
    assert table.default_primary(classification(50, 2)) == Metric.ROC_AUC
    assert table.default_primary(classification(50, 3)) == Metric.ACCURACY
    assert table.default_primary(regression(50)) == Metric.R2


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        target = generator.integers(0, 2, 200)
        predicted = np.where(generator.random(200) < 0.8, target, 1 - target)
        (value,) = measure(Predictions(target, predicted, 2, 1), [Metric.ACCURACY], 0).values
        assert value.lower is not None
        assert value.upper is not None
        covered += value.lower <= 0.8 <= value.upper
    assert 88 <= covered <= 99


def test_the_same_seed_gives_the_same_interval() -> None:
    predictions = classification(120, 2)
    assert measure(predictions, [Metric.F1], 3) == measure(predictions, [Metric.F1], 3)


def test_few_rows_are_said_and_a_calibration_error_is_left_out() -> None:
    measured = measure(classification(150, 2), [Metric.ACCURACY, Metric.EXPECTED_CALIBRATION_ERROR], 0)
    assert [value.name for value in measured.values] == [Metric.ACCURACY]
    assert any("only 150 test rows" in note for note in measured.notes)
    assert any("needs 1000 test rows, there are 150" in note for note in measured.notes)


def test_a_metric_without_a_value_is_a_note() -> None:
    constant = Predictions(np.full(300, 5.0), np.full(300, 4.0))
    measured = measure(constant, [Metric.R2, Metric.MEAN_ABSOLUTE_ERROR], 0)
    assert [value.name for value in measured.values] == [Metric.MEAN_ABSOLUTE_ERROR]
    assert any(note.startswith("r2 is undefined") for note in measured.notes)


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    better, worse = classification(400, 2, decimals=6), classification(400, 2, decimals=1)
    statistics = [table.compile_metric(Metric.LOG_LOSS, predictions) for predictions in (better, worse)]
    found = resampling.difference(statistics[0], statistics[1], 400, 0)
    assert found is not None
    assert found.lower <= found.value <= found.upper
    drawn = resampling.resample(statistics, 400, 0)
    assert found.upper - found.lower < np.ptp(np.quantile(drawn[0], [0.05, 0.95])) / 2
    assert found.smallest_detectable > 0


def test_many_rows_are_resampled_in_bounded_blocks() -> None:
    rows = 60_000
    blocks: list[int] = []

    def statistic(counts: Array) -> Array:
        blocks.append(counts.size)
        return np.asarray(counts.sum(axis=1) / rows)

    (drawn,) = resampling.resample([statistic], rows, 0)
    assert max(blocks) <= resampling.BLOCK_CELLS
    assert len(drawn) == resampling.DRAWN_CELLS // rows
    np.testing.assert_array_equal(drawn, 1.0)
