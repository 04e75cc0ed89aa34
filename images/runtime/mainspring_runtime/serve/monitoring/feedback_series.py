"""Labels that came back, for Prometheus. Series carry the version that made the prediction, which may be another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import Metric

from mainspring_runtime.serve.monitoring import families, wire
from mainspring_runtime.serve.monitoring.families import Values
from mainspring_runtime.serve.monitoring.feedback import Feedback, Refusal

ERRORS = ("absolute", "squared", "fourth")
LABEL_SUMS = ("labels", "labels_squared")
MOMENTS = ("third", "fourth", "squared_errors_labels", "squared_errors_labels_squared")

ByVersion = Mapping[tuple[str, str], wire.FeedbackCounts]  # by model and version


def collect(
    model: str, version: str, feedback: Feedback, prediction: wire.ReferencePrediction | None
) -> Iterable[Metric]:
    """The families of one server's labels."""
    own = (model, version)
    by_version: ByVersion = {own: feedback.counts} | {(model, of): counts for of, counts in feedback.others.items()}
    text = "Labels that came back, by what became of them."
    yield families.counter("mainspring_feedback", text, ("outcome",), _outcomes(own, by_version, feedback))
    if feedback.counts.errors is not None:
        yield from _errors(by_version)
    else:
        yield from _classes(by_version, feedback.classes)
    if prediction is not None and feedback.counts.score_rows is not None:
        yield from _scores(own, feedback.counts, families.prediction_bins(prediction))


def _outcomes(own: tuple[str, str], by_version: ByVersion, feedback: Feedback) -> Values:
    values: dict[tuple[str, ...], float] = {(*own, refusal): feedback.refusals[refusal] for refusal in Refusal}
    for of, counts in by_version.items():
        values |= {(*of, "Counted"): counts.rows, (*of, "Repeated"): counts.repeated}
    return values


def _classes(by_version: ByVersion, names: Sequence[str]) -> Iterable[Metric]:
    correct: Values = {of: counts.correct or 0 for of, counts in by_version.items()}
    yield families.counter("mainspring_feedback_correct", "Labels that the prediction agreed with.", (), correct)
    confusion: Values = {
        (*of, predicted, actual): rows
        for of, counts in by_version.items()
        for predicted, row in zip(names, counts.confusion or (), strict=False)
        for actual, rows in zip(names, row, strict=True)
    }
    if confusion:
        text = "Labels by predicted and actual class."
        yield families.counter("mainspring_feedback_confusion", text, ("predicted", "actual"), confusion)


def _errors(by_version: ByVersion) -> Iterable[Metric]:
    text = "Sums of powers of prediction minus label."
    yield families.counter("mainspring_feedback_error", text, ("sum",), _sums(by_version, ERRORS))
    text = "Sums of labels, of their powers, and of their products with squared errors."
    sums = {**_sums(by_version, LABEL_SUMS), **_moments(by_version)}
    yield families.gauge("mainspring_feedback_label_sum", text, ("sum",), sums)


def _sums(by_version: ByVersion, names: Iterable[str]) -> Values:
    return {(*of, name): getattr(counts.errors, name) for of, counts in by_version.items() for name in names}


def _moments(by_version: ByVersion) -> Values:
    counted = {of: counts.errors.moments for of, counts in by_version.items() if counts.errors is not None}
    return {(*of, name): getattr(sums, name) for of, sums in counted.items() if sums is not None for name in MOMENTS}


def _scores(own: tuple[str, str], counts: wire.FeedbackCounts, bins: list[str]) -> Iterable[Metric]:
    """Of the served version alone: the bins of others are not known here."""
    text = "Labels by bin of the watched output."
    rows = families.prefixed(own, families.by_bin(bins, counts.score_rows or []))
    yield families.counter("mainspring_feedback_score_rows", text, ("bin",), rows)
    if counts.score_positives is not None:
        text = "Labels of the positive class by bin of the watched output."
        rows = families.prefixed(own, families.by_bin(bins, counts.score_positives))
        yield families.counter("mainspring_feedback_score_positives", text, ("bin",), rows)
