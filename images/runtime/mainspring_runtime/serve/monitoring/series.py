"""The same counts for Prometheus, and the reference beside them, so that a query alone can compare the two.

The operator can read these instead of the snapshot (`mainspring.plan.modelmonitor.series`), so they say all that the
snapshot and the reference say: `mainspring_monitoring_started_seconds` is the epoch, and comes with the counts of every
scrape; bins are told by their names.

A series for each bin of each feature would be thousands for a wide table, in every pod. So there is a budget: features
get their series in the order of their importance (that of the profile where it says, else of the signature) until it
is used up, and a gauge says how many were left out. The snapshot always has all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric

from mainspring_runtime.serve.metrics import MAX_REASON_CHARACTERS
from mainspring_runtime.serve.monitoring import bin_names, families, feedback_series, wire
from mainspring_runtime.serve.monitoring.families import LabelledCollector, Values
from mainspring_runtime.serve.monitoring.feedback import CONFUSION_CLASSES
from mainspring_runtime.serve.monitoring.monitor import Monitor, Watched
from mainspring_runtime.serve.monitoring.profile import Feature

MAX_SERIES = 1_000  # of features and predictions, for one server
ASIDE = {
    "missing": "Values that were missing.",
    "unseen": "Categories that training never saw.",
    "out_of_range": "Numbers below the least or above the greatest one of training.",
}
INFO = (
    "1; rows_of says which rows are the reference and reason why nothing but rows is counted; digest names the bins, "
    "and the others say what is predicted and which output is watched."
)
INFO_LABELS = ("rows_of", "reason", "digest", "task", "output", "source", "positive", "threshold", "key")
SUMS = ("rows", "predicted", "positives")  # of the calibration
COERCED = "Values that came in another datatype and were converted without loss."


@dataclass(frozen=True)
class Shown:
    """A column that gets series, with the names of its bins."""

    place: int  # in the profile
    name: str
    bins: Sequence[str]

    @property
    def series(self) -> int:
        """Each with its reference; coerced values and what the column is have none."""
        return 2 * (len(self.bins) + len(ASIDE)) + 2


class MonitoringCollector(LabelledCollector):
    """Turns what was counted into metric families when Prometheus asks."""

    def __init__(self, model: str, version: str, monitor: Monitor, max_series: int = MAX_SERIES) -> None:
        super().__init__(model, version)
        self._monitor = monitor
        self._max_series = max_series
        self._shown: tuple[Shown, ...] | None = None

    def collect(self) -> Iterable[Metric]:
        watched = self._monitor.watched
        if watched is None:
            return
        watched.counters.settle()
        yield from self._general(watched)
        yield from self._predictions(watched)
        yield from self._features(watched)
        if watched.feedback is not None:
            yield from feedback_series.collect(*self._labels, watched.feedback, watched.reference.prediction)
        if watched.payloads is not None:
            yield from self._payloads(watched.payloads())

    def _general(self, watched: Watched) -> Iterable[Metric]:
        reference = watched.reference
        yield self._counter("mainspring_rows", "Rows that were predicted for callers.", {(): watched.counters.rows})
        yield self._gauge("mainspring_reference_rows", "Rows of the reference.", {(): reference.rows})
        yield self._gauge("mainspring_monitoring_info", INFO, {_info(reference): 1}, INFO_LABELS)
        text = "When counting began, in seconds since 1970: another number is another epoch."
        yield self._gauge("mainspring_monitoring_started_seconds", text, {(): self._monitor.started_seconds})
        text = "1 when nobody is answered any more and the counts are the last ones."
        yield self._gauge("mainspring_monitoring_final", text, {(): int(self._monitor.final)})
        left_out = len(reference.columns) - len(self._chosen(watched))
        yield self._gauge("mainspring_features_left_out", "Features without series of their own.", {(): left_out})

    def _payloads(self, found: wire.PayloadCounts) -> Iterable[Metric]:
        rows: Values = {("written",): found.written, ("dropped",): found.dropped}
        yield self._counter("mainspring_payload_rows", "Rows for the payload log.", rows, ("outcome",))
        yield self._counter(
            "mainspring_payload_parts", "Parts of the payload log that were written.", {(): found.parts}
        )
        text = "Attempts to write a part of the payload log that failed."
        yield self._counter("mainspring_payload_failures", text, {(): found.failures})
        text = "1; reason says why nothing is logged."
        reason = (found.reason or "")[:MAX_REASON_CHARACTERS]
        yield self._gauge("mainspring_payload_info", text, {(reason,): 1}, ("reason",))

    def _predictions(self, watched: Watched) -> Iterable[Metric]:
        yield from self._classes(watched.reference.classes or (), watched.counters.predicted() or ())
        reference, counts = watched.reference.prediction, watched.counters.prediction()
        if reference is None or counts is None or not self._prediction_series(reference):
            return
        names = families.prediction_bins(reference)
        text = "Rows by bin of the watched output."
        yield self._counter("mainspring_prediction_bin", text, families.by_bin(names, counts), ("bin",))
        text = "Reference rows by bin of the watched output."
        yield self._gauge(
            "mainspring_prediction_reference_rows", text, families.by_bin(names, reference.counts), ("bin",)
        )
        if reference.calibration is not None:
            text = "Of out-of-fold probabilities by bin: rows, the sum of what was predicted, and the positive ones."
            sums = _calibration(names, reference.calibration)
            yield self._gauge("mainspring_prediction_calibration", text, sums, ("bin", "sum"))

    def _classes(self, classes: Sequence[str], predicted: Sequence[int]) -> Iterable[Metric]:
        """None for a model with so many classes that there is no confusion either."""
        if 0 < len(classes) == len(predicted) <= CONFUSION_CLASSES:
            values = families.by_bin(classes, predicted)
            yield self._counter("mainspring_predicted", "Rows by predicted class.", values, ("predicted",))

    def _features(self, watched: Watched) -> Iterable[Metric]:
        shown = self._chosen(watched)
        if not shown:
            return
        now = watched.counters.columns()
        then = watched.reference.columns
        counted = {column.name: now[column.place] for column in shown}
        expected = {column.name: then[column.place] for column in shown}
        yield self._counter("mainspring_feature_bin", "Values by bin.", _bins(shown, counted), ("feature", "bin"))
        text = "Values of the reference by bin."
        yield self._gauge("mainspring_feature_reference_rows", text, _bins(shown, expected), ("feature", "bin"))
        for name, text in ASIDE.items():
            yield self._counter(f"mainspring_feature_{name}", text, _aside(counted, name), ("feature",))
            text = f"{text} In the reference."
            yield self._gauge(f"mainspring_feature_reference_{name}", text, _aside(expected, name), ("feature",))
        yield self._counter("mainspring_feature_coerced", COERCED, _aside(counted, "coerced"), ("feature",))
        kinds: Values = {(column.name, expected[column.name].kind): 1 for column in shown}
        yield self._gauge("mainspring_feature_info", "1; what a feature is.", kinds, ("feature", "kind"))

    def _chosen(self, watched: Watched) -> tuple[Shown, ...]:
        """Once for all: a series that goes away again would be worse than none."""
        if self._shown is None:
            used = self._prediction_series(watched.reference.prediction)
            self._shown = tuple(choose(watched.profile.features, self._max_series - used))
        return self._shown

    def _prediction_series(self, reference: wire.ReferencePrediction | None) -> int:
        """None for a model with so many classes that they alone would use up the budget."""
        wanted = 0 if reference is None else len(reference.counts) * (2 if reference.calibration is None else 5)
        return wanted if wanted <= self._max_series else 0


def choose(features: Sequence[Feature], max_series: int) -> list[Shown]:
    """The most important features whose series fit, in the order of the profile."""
    shown = [Shown(place, feature.name, _feature_bins(feature)) for place, feature in enumerate(features)]
    chosen = []
    for column in sorted(shown, key=lambda column: -(features[column.place].importance or 0.0)):
        max_series -= column.series
        if max_series < 0:
            break
        chosen.append(column)
    return sorted(chosen, key=lambda column: column.place)


def _feature_bins(feature: Feature) -> list[str]:
    if feature.categories is not None:
        return bin_names.of_categories(feature.categories)
    if feature.edges is None:
        return []
    return bin_names.of_times(feature.edges) if feature.kind == "Timestamp" else bin_names.of_numbers(feature.edges)


def _bins(shown: Sequence[Shown], columns: Mapping[str, wire.ColumnCounts | wire.ReferenceColumn]) -> Values:
    return {
        (column.name, name): count
        for column in shown
        for name, count in zip(column.bins, columns[column.name].counts, strict=True)
    }


def _info(reference: wire.Reference) -> tuple[str, ...]:
    """The values of `INFO_LABELS`; what there is none of is empty."""
    prediction = reference.prediction
    watched = (prediction.output, prediction.source, prediction.positive) if prediction else ("", "", "")
    threshold = "" if prediction is None or prediction.threshold is None else repr(prediction.threshold)
    reason = (reference.reason or "")[:MAX_REASON_CHARACTERS]
    facts = (reference.rows_of, reason, reference.digest, reference.task, *watched, threshold, reference.key)
    return tuple(fact or "" for fact in facts)


def _calibration(names: Sequence[str], calibration: wire.Calibration) -> Values:
    sums: Mapping[str, Sequence[float]] = {name: getattr(calibration, name) for name in SUMS}
    return {(name, which): value for which, values in sums.items() for name, value in zip(names, values, strict=True)}


def _aside(columns: Mapping[str, wire.ColumnCounts | wire.ReferenceColumn], field: str) -> Values:
    return {(name,): getattr(column, field) for name, column in columns.items()}
