"""From a server's series in Prometheus to the snapshot and the reference that the server itself would give.

What Prometheus does not have is not there: features beyond the server's budget of series. Neither has it an order:
columns and classes come by their names, and bins in the order of their edges, which are rounded as far as their names
are. So these are bins of their own, with a digest of their own: what was read of the servers directly never mixes with
them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from mainspring.api.monitoring import (
    Calibration,
    ColumnCounts,
    ErrorSums,
    FeedbackCounts,
    LabelMoments,
    Reference,
    ReferenceColumn,
    ReferencePrediction,
    Snapshot,
)
from mainspring.plan.common import objects
from mainspring.plan.modelmonitor.promql import SAMPLED

PREFIX = "mainspring_"
NAME = "__name__"
# Labels of the server's own; all others are those that Prometheus gave the target.
COUNTED_BY = ("model", "version", "feature", "bin", "predicted", "actual", "outcome", "sum", "kind")
TOLD_BY = ("rows_of", "reason", "digest", "task", "output", "source", "positive", "threshold", "key")
OWN_LABELS = frozenset({*COUNTED_BY, *TOLD_BY, NAME, SAMPLED})
_OTHERS = re.compile(r"\(+others\)+")
_INTERVAL = re.compile(r"[\[(](.+), (.+)\)")

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its value. Those without a name tell when the series with these labels was scraped."""

    labels: Labels
    value: float


class SeriesError(ValueError):
    """The series of a server that do not make a snapshot or a reference; the message says what is the matter."""


@dataclass(frozen=True)
class Target:
    """The series of one scraped process, by name without the prefix. `followed`: Prometheus scrapes it still."""

    pod: str
    followed: bool
    series: Mapping[str, Sequence[Sample]]

    def of(self, name: str) -> Sequence[Sample]:
        return self.series.get(name, ())

    def value(self, name: str) -> float | None:
        return next((sample.value for sample in self.of(name)), None)

    def by(self, name: str, *labels: str) -> dict[Any, float]:
        """Values by the value of a label, or by those of several."""
        if len(labels) == 1:
            return {sample.labels.get(labels[0], ""): sample.value for sample in self.of(name)}
        return {tuple(sample.labels.get(label, "") for label in labels): sample.value for sample in self.of(name)}

    def grouped(self, name: str, outer: str, inner: str) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for sample in self.of(name):
            found[sample.labels.get(outer, "")][sample.labels.get(inner, "")] = sample.value
        return found

    @property
    def started(self) -> float:
        return self.value("monitoring_started_seconds") or 0.0

    @property
    def info(self) -> Labels:
        return next((sample.labels for sample in self.of("monitoring_info")), {})


def targets(samples: Iterable[Sample]) -> dict[str, Target]:
    """By pod. A pod that is scraped twice, by two jobs or two replicas of Prometheus, counts once."""
    groups: dict[frozenset[tuple[str, str]], dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        given = frozenset(item for item in sample.labels.items() if item[0] not in OWN_LABELS)
        groups[given][sample.labels.get(NAME, "").removeprefix(PREFIX)].append(sample)
    found: dict[str, Target] = {}
    for given, series in groups.items():
        target = Target(dict(given).get("pod", ""), bool(series.get("")), series)
        if target.pod not in found or _rank(target) > _rank(found[target.pod]):
            found[target.pod] = target
    return found


def _rank(target: Target) -> tuple[float, float, float]:
    """The newest process, as it was scraped last."""
    return target.started, target.value("") or 0.0, target.value("rows_total") or 0.0


def snapshot(target: Target) -> Snapshot:
    """All that a server had counted when it was scraped last. Raises `SeriesError`."""
    rows, info = target.value("rows_total"), target.info
    if rows is None or not target.started or not info.get("digest"):
        raise SeriesError(
            "its server does not tell Prometheus when it started: it is of an earlier version, and the next rollout brings one that does"
        )
    kinds = _kinds(target)
    bins = target.grouped("feature_bin_total", "feature", "bin")
    asides = {name: target.by(f"feature_{name}_total", "feature") for name in (*ASIDE, "coerced")}
    columns = [
        ColumnCounts(
            name=name,
            counts=_in_order(bins.get(name, {})),
            **{aside: int(values.get(name, 0)) for aside, values in asides.items()},
        )
        for name in kinds
    ]
    predicted = target.by("predicted_total", "predicted")
    return Snapshot(
        model=target.of("rows_total")[0].labels.get("model", ""),
        version=target.of("rows_total")[0].labels.get("version", ""),
        digest=_digest(target),
        epoch=f"{target.started:.6f}",
        started=datetime.fromtimestamp(target.started, UTC).isoformat(timespec="seconds"),
        final=bool(target.value("monitoring_final")),
        reason=info.get("reason"),
        rows=int(rows),
        columns=columns,
        prediction=_prediction(target, target.by("prediction_bin_total", "bin")),
        predicted=[int(predicted[name]) for name in sorted(predicted)] or None,
        feedback=_feedback(target),
    )


ASIDE = ("missing", "unseen", "out_of_range")


def left_out(target: Target) -> int:
    """Features that have no series of their own."""
    return int(target.value("features_left_out") or 0)


def _kinds(target: Target) -> list[str]:
    """Names of the features. All have a count of missing values, also those without bins."""
    return sorted(target.by("feature_missing_total", "feature"))


def _digest(target: Target) -> str:
    """Names what is counted: these bins, of the features that have series."""
    classes = sorted(target.by("predicted_total", "predicted"))
    facts = [target.info.get("digest", ""), _kinds(target), classes]
    return f"prometheus:{objects.stable_hash(facts, 32)}"


def _in_order(values: Mapping[str, float]) -> list[int]:
    return [int(values[name]) for name in _ordered(values)]


def _ordered(names: Iterable[str]) -> list[str]:
    """Bins of numbers by their lower edge; categories by name, and all others last."""
    known = list(names)
    intervals = {name: found for name in known if (found := _INTERVAL.fullmatch(name))}
    if known and len(intervals) == len(known) and _is_chain(intervals):
        return sorted(known, key=lambda name: _edge(intervals[name][1]))
    others = max((name for name in known if _OTHERS.fullmatch(name)), key=len, default=None)
    return sorted(known, key=lambda name: (name == others, name))


def _is_chain(intervals: Mapping[str, re.Match[str]]) -> bool:
    """Each ends where another one begins: categories may look like intervals, too."""
    lows, highs = {found[1] for found in intervals.values()}, {found[2] for found in intervals.values()}
    return lows - {"-inf"} == highs - {"inf"} and "-inf" in lows and "inf" in highs


def _edge(text: str) -> float:
    """A number, or a date as days since 1970. Raises `SeriesError`."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() / 86_400
    except ValueError:
        raise SeriesError(f"the name of a bin has the edge {text[:40]!r}, which is neither number nor date") from None


def _prediction(target: Target, by_bin: Mapping[str, float]) -> list[int] | None:
    if not by_bin:
        return None
    names = sorted(by_bin) if _watches_classes(target) else _ordered(by_bin)
    return [int(by_bin[name]) for name in names]


def _watches_classes(target: Target) -> bool:
    return target.info.get("task") == "Classification" and target.info.get("output") == "predict"


def _feedback(target: Target) -> FeedbackCounts | None:
    outcomes = target.by("feedback_total", "outcome")
    if not outcomes:
        return None
    counted, repeated = outcomes.pop("Counted", 0), outcomes.pop("Repeated", 0)
    correct = target.value("feedback_correct_total")
    scores, positives = (target.by(f"feedback_score_{which}_total", "bin") for which in ("rows", "positives"))
    return FeedbackCounts(
        rows=int(counted),
        repeated=int(repeated),
        refused=int(sum(outcomes.values())),
        correct=None if correct is None else int(correct),
        confusion=_confusion(target),
        score_rows=_in_order(scores) or None,
        score_positives=_in_order(positives) or None,
        errors=_errors(target, int(counted)),
    )


def _confusion(target: Target) -> list[list[int]] | None:
    cells = target.by("feedback_confusion_total", "predicted", "actual")
    classes = sorted({predicted for predicted, _ in cells})
    return [[int(cells.get((row, column), 0)) for column in classes] for row in classes] or None


def _errors(target: Target, rows: int) -> ErrorSums | None:
    powers, sums = (target.by(name, "sum") for name in ("feedback_error_total", "feedback_label_sum"))
    if not powers:
        return None
    moments = {name: sums[name] for name in LabelMoments.model_fields if name in sums}
    return ErrorSums(
        rows=rows,
        **{name: powers.get(name, 0.0) for name in ("absolute", "squared", "fourth")},
        labels=sums.get("labels", 0.0),
        labels_squared=sums.get("labels_squared", 0.0),
        moments=LabelMoments(rows=rows, **moments) if len(moments) == len(LabelMoments.model_fields) - 1 else None,
    )


def reference(target: Target) -> Reference:
    """What the server compares with. Raises `SeriesError`."""
    info, rows = target.info, target.value("reference_rows")
    if rows is None or not info:
        raise SeriesError("Prometheus has counts of this service but no reference: are mainspring_* series dropped?")
    classes = sorted(target.by("predicted_total", "predicted"))
    return Reference(
        model=target.of("reference_rows")[0].labels.get("model", ""),
        version=target.of("reference_rows")[0].labels.get("version", ""),
        digest=_digest(target),
        rows_of=cast(Literal["newest", "train"], info.get("rows_of", "train")),
        rows=int(rows),
        reason=info.get("reason"),
        columns=_columns(target),
        prediction=_watched(target),
        task=cast(Literal["Classification", "Regression"] | None, info.get("task")),
        classes=classes or None,
        key=info.get("key"),
    )


def _columns(target: Target) -> list[ReferenceColumn]:
    kinds = {name: kind for name, kind in target.by("feature_info", "feature", "kind")}  # noqa: C416
    bins = target.grouped("feature_reference_rows", "feature", "bin")
    asides = {name: target.by(f"feature_reference_{name}", "feature") for name in ASIDE}
    return [
        _column(name, kinds.get(name, ""), bins.get(name, {}), {a: int(v.get(name, 0)) for a, v in asides.items()})
        for name in _kinds(target)
    ]


def _column(name: str, kind: str, bins: Mapping[str, float], asides: Mapping[str, int]) -> ReferenceColumn:
    names = _ordered(bins)
    categorical = bool(names) and _OTHERS.fullmatch(names[-1]) is not None
    categories = names[:-1] if categorical else None
    edges = _edges(names) if names and not categorical else None
    return ReferenceColumn(
        name=name, kind=kind, edges=edges, categories=categories, counts=[int(bins[b]) for b in names], **asides
    )


def _edges(names: Sequence[str]) -> list[float]:
    """The lower edges of all bins but the first. Raises `SeriesError`."""
    found = [_INTERVAL.fullmatch(name) for name in names[1:]]
    if not all(found):
        raise SeriesError(f"the bins {', '.join(names[:3])} are no intervals")
    return [_edge(match[1]) for match in found if match]


def _watched(target: Target) -> ReferencePrediction | None:
    by_bin, info = target.by("prediction_reference_rows", "bin"), target.info
    counts = _prediction(target, by_bin)
    if counts is None:
        return None
    classes = sorted(by_bin) if _watches_classes(target) else None
    names = classes or _ordered(by_bin)
    return ReferencePrediction(
        output=info.get("output", ""),
        source=cast(Literal["OutOfFold", "HeldOut"], info.get("source")),
        rows=sum(counts),
        edges=None if classes else _edges(names),
        classes=classes,
        counts=counts,
        positive=info.get("positive"),
        threshold=float(info["threshold"]) if "threshold" in info else None,
        calibration=_calibration(target, names),
    )


def _calibration(target: Target, names: Sequence[str]) -> Calibration | None:
    sums = target.grouped("prediction_calibration", "sum", "bin")
    if not sums:
        return None
    rows, predicted, positives = ([sums[which].get(name, 0.0) for name in names] for which in CALIBRATION)
    return Calibration(rows=[*map(int, rows)], predicted=predicted, positives=[*map(int, positives)])


CALIBRATION = ("rows", "predicted", "positives")
