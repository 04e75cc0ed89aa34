"""Snapshots and references as Prometheus has them: the other way round from `mainspring.plan.modelmonitor.series`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from mainspring.api.monitoring import FeedbackCounts, Reference, ReferenceColumn, Snapshot
from mainspring.plan.modelmonitor import series
from mainspring.plan.modelmonitor.series import NAME, PREFIX, SAMPLED, Sample
from tests import monitored

Labels = Mapping[str, str]

POD = "m-1-a"
START = 1_750_000_000.123456
REFERENCE: Reference = monitored.reference(
    monitored.numbers("x", [1, 2], [10, 20, 30]),
    monitored.categories("c", ["a", "b"], [1, 2, 3]),
    classes=["no", "yes"],
)


def counted(
    rows: int, pod: str = POD, started: float = START, job: str = "pods", at: float | None = 1.0
) -> list[Sample]:
    """The series of a pod that has so many rows; `at` is when it was scraped, None when it is no more."""
    columns = [monitored.column("x", [rows, 0, 0]), monitored.column("c", [0, rows, 0])]
    feedback = FeedbackCounts(rows=rows, confusion=[[rows, 0], [0, 0]])
    found = monitored.snapshot(monitored.window(*columns, rows=rows)).model_copy(
        update={"predicted": [rows, 0], "feedback": feedback}
    )
    target = {"namespace": "lab", "pod": pod, "job": job}
    samples = [*of_snapshot(found, REFERENCE, started, target), *of_reference(REFERENCE, target)]
    return samples if at is None else [*samples, followed(target, found, at)]


def snapshot(rows: int, started: float = START) -> Snapshot:
    """The same as the operator reads it."""
    return series.snapshot(series.targets(counted(rows, started=started))[POD])


def of_snapshot(snapshot: Snapshot, reference: Reference, started: float, target: Labels) -> Iterator[Sample]:
    """`target` holds the labels that Prometheus gives; `started` is in seconds since 1970."""
    own = {**target, "model": snapshot.model, "version": snapshot.version}

    def sample(name: str, value: float, **labels: str) -> Sample:
        return Sample({**own, **labels, NAME: PREFIX + name}, float(value))

    yield sample("rows_total", snapshot.rows)
    yield sample("monitoring_started_seconds", started)
    yield sample("features_left_out", 0)
    yield sample("monitoring_info", 1, **_info(reference))
    known = {column.name: column for column in reference.columns}
    for column in snapshot.columns:
        for name, count in zip(bins_of(known[column.name]), column.counts, strict=True):
            yield sample("feature_bin_total", count, feature=column.name, bin=name)
        for aside in ("missing", "unseen", "out_of_range", "coerced"):
            yield sample(f"feature_{aside}_total", getattr(column, aside), feature=column.name)
    for name, count in zip(_watched(reference), snapshot.prediction or (), strict=True):
        yield sample("prediction_bin_total", count, bin=name)
    for name, count in zip(reference.classes or (), snapshot.predicted or (), strict=True):
        yield sample("predicted_total", count, predicted=name)
    if snapshot.feedback is not None:
        for (suffix, labels), value in _feedback(snapshot.feedback, reference).items():
            yield sample(f"feedback{suffix}_total", value, **dict(labels))


def of_reference(reference: Reference, target: Labels) -> Iterator[Sample]:
    own = {**target, "model": reference.model, "version": reference.version}

    def sample(name: str, value: float, **labels: str) -> Sample:
        return Sample({**own, **labels, NAME: PREFIX + name}, float(value))

    yield sample("reference_rows", reference.rows)
    for column in reference.columns:
        yield sample("feature_info", 1, feature=column.name, kind=column.kind)
        for name, count in zip(bins_of(column), column.counts, strict=True):
            yield sample("feature_reference_rows", count, feature=column.name, bin=name)
        for aside in ("missing", "unseen", "out_of_range"):
            yield sample(f"feature_reference_{aside}", getattr(column, aside), feature=column.name)
    if reference.prediction is not None:
        for name, count in zip(_watched(reference), reference.prediction.counts, strict=True):
            yield sample("prediction_reference_rows", count, bin=name)


def followed(target: Labels, snapshot: Snapshot, at: float) -> Sample:
    """That the target is scraped still."""
    return Sample({**target, "model": snapshot.model, "version": snapshot.version, SAMPLED: "true"}, at)


def bins_of(column: ReferenceColumn) -> Sequence[str]:
    if column.categories is not None:
        return [*column.categories, "(others)"]
    return intervals(column.edges) if column.edges is not None else []


def intervals(edges: Iterable[float]) -> list[str]:
    bounds = ["-inf", *(f"{edge:g}" for edge in edges), "inf"]
    return [f"{'(' if low == '-inf' else '['}{low}, {high})" for low, high in pairwise(bounds)]


def _watched(reference: Reference) -> Sequence[str]:
    prediction = reference.prediction
    if prediction is None:
        return []
    return intervals(prediction.edges) if prediction.edges is not None else prediction.classes or []


def _info(reference: Reference) -> dict[str, str]:
    prediction = reference.prediction
    facts = {"rows_of": reference.rows_of, "reason": reference.reason, "digest": reference.digest}
    facts |= {"task": reference.task}
    if prediction is not None:
        threshold = None if prediction.threshold is None else repr(prediction.threshold)
        facts |= {"output": prediction.output, "source": prediction.source, "positive": prediction.positive}
        facts |= {"threshold": threshold}
    return {name: value for name, value in facts.items() if value}


def _feedback(counts: FeedbackCounts, reference: Reference) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
        ("", (("outcome", "Counted"),)): counts.rows,
        ("", (("outcome", "Repeated"),)): counts.repeated,
        ("", (("outcome", "Expired"),)): counts.refused,
    }
    classes = reference.classes or []
    for predicted, row in zip(classes, counts.confusion or (), strict=False):
        for actual, count in zip(classes, row, strict=True):
            values["_confusion", (("predicted", predicted), ("actual", actual))] = count
    return values
