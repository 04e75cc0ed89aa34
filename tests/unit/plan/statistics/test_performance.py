"""What a bound and the labels come to."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.api.monitoring import ErrorSums, FeedbackCounts, Reference
from mainspring.api.v1alpha1.trainingrun import LESS_IS_BETTER, Metric
from mainspring.plan.statistics import performance
from mainspring.plan.statistics.performance import Verdict
from tests import monitored

TWO = monitored.reference(classes=["no", "yes"], prediction=monitored.probabilities([0.5], [500, 500]))
THREE = monitored.reference(classes=["a", "b", "c"])
VALUES = monitored.reference(task="Regression")
BINARY = FeedbackCounts(rows=1000, confusion=[[450, 60], [50, 440]], score_rows=[510, 490], score_positives=[60, 440])
MANY = FeedbackCounts(rows=900, confusion=[[280, 10, 10], [10, 280, 10], [10, 10, 280]])
ERRORS = FeedbackCounts(
    rows=1000, errors=ErrorSums(rows=1000, absolute=800, squared=1000, fourth=3000, labels=0, labels_squared=9000)
)


@pytest.mark.parametrize(
    ("metric", "feedback", "reference", "bad", "good"),
    [
        (Metric.ACCURACY, BINARY, TWO, 0.92, 0.90),
        (Metric.ACCURACY, MANY, THREE, 0.96, 0.94),
        (Metric.BALANCED_ACCURACY, BINARY, TWO, 0.92, 0.90),
        (Metric.F1, BINARY, TWO, 0.92, 0.90),
        (Metric.F1, MANY, THREE, 0.96, 0.94),
        (Metric.PRECISION, BINARY, TWO, 0.93, 0.91),
        (Metric.RECALL, BINARY, TWO, 0.91, 0.90),
        (Metric.ROC_AUC, BINARY, TWO, 0.92, 0.90),
        (Metric.R2, ERRORS, VALUES, 0.91, 0.89),
        (Metric.MEAN_ABSOLUTE_ERROR, ERRORS, VALUES, 0.75, 0.77),
        (Metric.ROOT_MEAN_SQUARED_ERROR, ERRORS, VALUES, 0.94, 0.97),
    ],
)
def test_only_an_interval_wholly_on_the_bad_side_is_degraded(
    metric: Metric, feedback: FeedbackCounts, reference: Reference, bad: float, good: float
) -> None:
    found = performance.judge(metric, feedback, reference, bad, 500)
    assert found.verdict is Verdict.DEGRADED
    assert performance.judge(metric, feedback, reference, good, 500).verdict is Verdict.MET
    assert found.interval is not None
    # The point is beyond the good bound or near it; what decides is the interval's other end.
    end = found.interval.lower if metric in LESS_IS_BETTER else found.interval.upper
    assert performance.judge(metric, feedback, reference, end, 500).verdict is Verdict.MET


def test_the_sentence_has_value_interval_rows_and_bound() -> None:
    found = performance.judge(Metric.ACCURACY, BINARY, TWO, 0.92, 500)
    assert found.explanation == "accuracy 0.89 [0.8691, 0.9079] on 1000 rows, minimum 0.92"
    assert "maximum 0.75" in performance.judge(Metric.MEAN_ABSOLUTE_ERROR, ERRORS, VALUES, 0.75, 500).explanation


@pytest.mark.parametrize("feedback", [None, FeedbackCounts(), BINARY.model_copy(update={"rows": 499})])
def test_too_few_labels_are_never_a_pass(feedback: FeedbackCounts | None) -> None:
    found = performance.judge(Metric.ACCURACY, feedback, TWO, 0.5, 500)
    assert found.verdict is Verdict.INSUFFICIENT
    assert found.explanation == f"accuracy needs 500 labels, there are {feedback.rows if feedback else 0}"


def test_labels_of_one_class_alone_are_insufficient_for_a_ranking() -> None:
    one_class = FeedbackCounts(
        rows=1000, confusion=[[0, 60], [0, 940]], score_rows=[60, 940], score_positives=[60, 940]
    )
    found = performance.judge(Metric.ROC_AUC, one_class, TWO, 0.9, 500)
    assert (found.verdict, found.interval) == (Verdict.INSUFFICIENT, None)
    assert performance.judge(Metric.ACCURACY, one_class, TWO, 0.9, 500).verdict is Verdict.MET


@pytest.mark.parametrize(
    ("metric", "reference", "why"),
    [
        (Metric.LOG_LOSS, TWO, "within a bin"),
        (Metric.BRIER_SCORE, TWO, "within a bin"),
        (Metric.EXPECTED_CALIBRATION_ERROR, TWO, "within a bin"),
        (Metric.AVERAGE_PRECISION, TWO, "highest bins"),
        (Metric.MEDIAN_ABSOLUTE_ERROR, VALUES, "no median"),
        (Metric.R2, TWO, "task: Classification"),
        (Metric.ACCURACY, VALUES, "task: Regression"),
        (Metric.ROC_AUC, THREE, "probability of a positive class"),
        (Metric.F1, monitored.reference(classes=["no", "yes"]), "positive class"),
    ],
)
def test_what_counts_cannot_tell_is_unavailable_and_says_why(metric: Metric, reference: Reference, why: str) -> None:
    found = performance.judge(metric, BINARY, reference, 0.9, 500)
    assert found.verdict is Verdict.UNAVAILABLE
    assert why in found.explanation


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize(("reference", "feedback"), [(TWO, BINARY), (THREE, MANY), (VALUES, ERRORS)])
def test_every_metric_gets_an_interval_or_a_reason(
    metric: Metric, reference: Reference, feedback: FeedbackCounts
) -> None:
    found = performance.judge(metric, feedback, reference, 0.9, 500)
    assert (found.interval is None) == (found.verdict is Verdict.UNAVAILABLE)


@pytest.mark.parametrize("facts", [{}, {"confusion": [[300, 200], [100, 400]]}])
def test_feedback_of_another_shape_is_insufficient_rather_than_a_crash(facts: dict[str, Any]) -> None:
    found = performance.judge(Metric.ROC_AUC, FeedbackCounts(rows=1000, **facts), TWO, 0.9, 500)
    assert found.verdict is Verdict.INSUFFICIENT
