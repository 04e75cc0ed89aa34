"""Expected performance without labels, against the labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring.plan.statistics import estimate, performance
from mainspring.plan.statistics.counts import WindowCounts
from tests import monitored

EDGES = [0.05 * step for step in range(1, 20)]
FIRST_POSITIVE = 10  # 0.5 is the tenth edge


def drawn(random: np.random.Generator, rows: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows and positives by bin of a calibrated model; `shift` moves the inputs, not what they mean."""
    probabilities = stats.norm.cdf(random.normal(shift, 1.2, rows))
    positive = random.random(rows) < probabilities
    bins = np.searchsorted(EDGES, probabilities, side="right")
    return np.bincount(bins, minlength=20), np.bincount(bins, positive, minlength=20).astype(int)


def reference(rows: np.ndarray, positives: np.ndarray, **more: str) -> Reference:
    prediction = monitored.probabilities(EDGES, rows.tolist(), positives.tolist(), **more)
    return monitored.reference(rows=int(rows.sum()), classes=["no", "yes"], prediction=prediction)


def predictions(rows: np.ndarray) -> WindowCounts:
    return monitored.window(rows=int(rows.sum()), prediction=rows.tolist())


def measured(metric: Metric, rows: np.ndarray, positives: np.ndarray) -> float:
    """By the labels that the estimate does not see."""
    above = np.arange(20) >= FIRST_POSITIVE
    negatives = rows - positives
    table = [[int(counts[side].sum()) for counts in (negatives, positives)] for side in (~above, above)]
    facts = {
        "rows": int(rows.sum()),
        "confusion": table,
        "score_rows": rows.tolist(),
        "score_positives": positives.tolist(),
    }
    feedback = monitored.labelled(predictions(rows), **facts).feedback
    found = performance.judge(metric, feedback, reference(rows, positives), 0.0, 1).interval
    assert found is not None
    return found.value


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.ROC_AUC])
@pytest.mark.parametrize(("known", "size"), [(1000, 500), (1000, 5000), (10_000, 1000)])
def test_the_interval_holds_what_labels_say_later_as_often_as_it_says(metric: Metric, known: int, size: int) -> None:
    random = np.random.default_rng(8)
    held, rounds = 0, 800
    for _ in range(rounds):
        rows, positives = drawn(random, size)
        found = estimate.judge(metric, reference(*drawn(random, known)), predictions(rows)).interval
        assert found is not None
        held += found.lower <= measured(metric, rows, positives) <= found.upper
    assert 0.92 <= held / rounds <= 0.98


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.ROC_AUC])
def test_it_follows_a_shift_of_the_inputs(metric: Metric) -> None:
    random = np.random.default_rng(9)
    known = reference(*drawn(random, 100_000))
    rows, positives = drawn(random, 100_000, shift=1.0)
    found = estimate.judge(metric, known, predictions(rows)).interval
    assert found is not None
    truth = measured(metric, rows, positives)
    assert found.value == pytest.approx(truth, abs=0.005)
    before = estimate.judge(metric, known, monitored.same_as(known)).interval
    assert before is not None
    assert abs(found.value - truth) < abs(before.value - truth)


def test_of_the_reference_itself_it_is_what_was_measured_there() -> None:
    rows, positives = drawn(np.random.default_rng(10), 5000)
    known = reference(rows, positives)
    for metric in (Metric.ACCURACY, Metric.ROC_AUC):
        found = estimate.judge(metric, known, monitored.same_as(known))
        assert found.interval is not None
        assert found.interval.value == pytest.approx(measured(metric, rows, positives))
        assert 0 <= found.interval.lower < found.interval.value < found.interval.upper <= 1
        assert "if inputs still mean what they meant" in found.explanation


def test_more_calibration_rows_narrow_the_interval_down_to_the_windows_own_chance() -> None:
    rows, positives = drawn(np.random.default_rng(11), 2000)
    window = predictions(rows)
    widths = []
    for times in (1, 10, 100, 10_000):
        found = estimate.judge(Metric.ACCURACY, reference(rows * times, positives * times), window).interval
        assert found is not None
        widths.append(found.upper - found.lower)
    assert widths == sorted(widths, reverse=True)
    rates = positives / rows
    alone = 2 * 1.96 * np.sqrt((rows * rates * (1 - rates)).sum()) / rows.sum()
    assert widths[-1] == pytest.approx(alone, rel=0.01)


def test_calibration_may_be_of_other_rows_than_the_reference_counts() -> None:
    rows, positives = drawn(np.random.default_rng(12), 4000)
    known = reference(rows, positives)
    assert known.prediction is not None
    newest = known.prediction.model_copy(update={"counts": [1] * 20})
    window = predictions(rows)
    moved = known.model_copy(update={"prediction": newest})
    assert estimate.judge(Metric.ACCURACY, moved, window) == estimate.judge(Metric.ACCURACY, known, window)


FEW, FEW_POSITIVES = drawn(np.random.default_rng(13), 999)
ENOUGH = drawn(np.random.default_rng(13), 1000)


@pytest.mark.parametrize(
    ("metric", "known", "why"),
    [
        (Metric.ACCURACY, reference(FEW, FEW_POSITIVES), "1000 out-of-fold rows; the reference has 999"),
        (Metric.ACCURACY, reference(*ENOUGH, source="HeldOut"), "1000 rows HeldOut"),
        (Metric.ACCURACY, monitored.reference(), "no calibration"),
        (Metric.ROC_AUC, monitored.reference(prediction=monitored.probabilities([0.5], [600, 600])), "no calibration"),
        (Metric.F1, reference(*ENOUGH), "f1 cannot be estimated without labels; accuracy and roc_auc can"),
    ],
)
def test_without_the_means_there_is_a_reason_and_no_number(metric: Metric, known: Reference, why: str) -> None:
    found = estimate.judge(metric, known, monitored.window(rows=0))
    assert found.interval is None
    assert why in found.explanation


def test_no_predictions_and_one_expected_class_are_no_certainty() -> None:
    known = reference(*ENOUGH)
    nothing = estimate.judge(Metric.ACCURACY, known, monitored.window(rows=0, prediction=[0] * 20))
    assert (nothing.interval, nothing.explanation) == (None, "there were no predictions")
    never = reference(np.full(20, 100), np.zeros(20, dtype=int))
    area = estimate.judge(Metric.ROC_AUC, never, predictions(np.full(20, 10))).interval
    assert area is not None
    assert (area.lower, area.value, area.upper) == (0.0, 0.5, 1.0)
    accuracy = estimate.judge(
        Metric.ACCURACY, never, predictions(np.r_[np.full(10, 10), np.zeros(10, dtype=int)])
    ).interval
    assert accuracy is not None
    assert accuracy.lower < accuracy.value == 1.0


def test_a_window_over_other_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256:other"):
        estimate.judge(Metric.ACCURACY, reference(*ENOUGH), monitored.window(digest="sha256:other"))
