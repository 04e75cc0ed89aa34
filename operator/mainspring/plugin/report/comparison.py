"""The last judged window beside what it was compared with: by the operator's own rule, on the same counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mainspring.api.monitoring import Reference, ReferenceColumn, ReferencePrediction
from mainspring.api.v1alpha1.modelmonitor import FeatureStatus, ModelMonitorSpec, ModelMonitorStatus
from mainspring.plan.modelmonitor.records import Last
from mainspring.plan.statistics import bins, drift, quality
from mainspring.plan.statistics.divergence import Samples
from mainspring.plan.statistics.drift import PREDICTION, FeatureDrift
from mainspring.plugin.report.facts import Bar, Defect, Subject

CATEGORIES_SHOWN = 12
CHECKS = {
    quality.Check.MISSING.value: "missing",
    quality.Check.UNSEEN.value: "never seen in training",
    quality.Check.OUT_OF_RANGE.value: "outside the range of training",
    quality.Check.COERCED.value: "integers for numbers",
}
_ROWS_OF = {"newest": "the newest rows of the training data", "train": "all rows of the training data"}


def subjects(
    spec: ModelMonitorSpec, status: ModelMonitorStatus, last: Last | None, drifted: Collection[str]
) -> list[Subject]:
    """Worst first. What the monitor's status says of a feature wins over what can be computed here.

    `drifted` are names of the features that do, by the rule of two windows; the prediction is "".
    """
    if last is None:
        return []
    floor = drift.FLOORS[spec.drift.sensitivity]
    verdicts = drift.judge(last.expected, last.counts, {}, last.start, floor, spec.drift.exclude or ())
    told = {feature.name: feature for feature in status.features or ()}
    found = [_subject(last, v, told.get(v.name or "prediction"), v.name in drifted) for v in verdicts if v.degrees]
    return sorted(found, key=lambda s: (not s.drifted, not s.exceeds, s.threshold - s.psi, s.name))


def _subject(last: Last, verdict: FeatureDrift, told: FeatureStatus | None, drifted: bool) -> Subject:
    bars, edges = _bars(last, verdict.name)
    p_value = told.p_value if told else float(f"{verdict.adjusted_p:.3g}")
    return Subject(
        name=verdict.name or "prediction",
        is_prediction=verdict.name == PREDICTION,
        psi=round(verdict.psi, 4),
        threshold=round(verdict.threshold, 4),
        p_value=p_value,
        drifted=drifted,
        exceeds=verdict.psi > verdict.threshold and p_value <= drift.FAMILY_ALPHA,
        since=told.since if told else None,
        explanation=_without_name(verdict),
        edges=edges,
        bars=bars,
        rows=last.counts.rows,
        reference_rows=last.expected.rows,
    )


def _without_name(verdict: FeatureDrift) -> str:
    """mean_radius: PSI 0.34 over 0.10; 31 % … → PSI 0.34 over 0.10; 31 % …"""
    return verdict.explanation.removeprefix(f"{verdict.name or 'prediction'}: ")


def _bars(last: Last, name: str) -> tuple[list[Bar], list[str] | None]:
    prediction = last.expected.prediction
    if name == PREDICTION and prediction is not None:
        samples = bins.of_prediction(prediction, last.counts.prediction or ())
        edges = [bins.edge_text("Float", edge) for edge in prediction.edges] if prediction.edges else None
        return _paired(samples, [*_prediction_names(prediction)], len(samples.reference)), edges
    column = next(c for c in last.expected.columns if c.name == name)
    counted = next(c for c in last.counts.columns if c.name == name)
    samples = bins.of_column(last.expected, column, counted, last.counts.rows)
    paired = _paired(samples, [*_names(column, len(samples.reference))], _plain(column))
    if column.categories is not None:
        return _shortened(paired), None
    return paired, [bins.edge_text(column.kind, edge) for edge in column.edges] if column.edges else None


def _plain(column: ReferenceColumn) -> int:
    """How many bins hold a value of the column; after these come the special ones."""
    if column.categories is not None:
        return len(column.categories)
    return len(column.counts) or 1


def _paired(samples: Samples, names: list[str], plain: int) -> list[Bar]:
    sizes = [max(size, 1) for size in samples.sizes]
    cells = zip(names, samples.reference, samples.window, strict=True)
    return [
        Bar(name=name, reference=before / sizes[0], now=now / sizes[1], special=place >= plain)
        for place, (name, before, now) in enumerate(cells)
    ]


def _names(column: ReferenceColumn, size: int) -> Iterable[str]:
    """Categories by their own names, everything else as in sentences."""
    categories = column.categories or []
    special = ("other values", "new values", "missing")
    for index in range(size):
        if index < len(categories):
            yield categories[index]
        else:
            yield special[index - len(categories)] if column.categories is not None else bins.name_of(column, index)


def _prediction_names(prediction: ReferencePrediction) -> Iterable[str]:
    for index in range(len(prediction.counts)):
        named = prediction.classes is not None and prediction.edges is None and index < len(prediction.classes)
        yield prediction.classes[index] if named and prediction.classes else bins.name_of_prediction(prediction, index)


def _shortened(bars: list[Bar]) -> list[Bar]:
    """The categories with most rows on either side, in their order; the others together; then the special ones."""
    plain, special = [b for b in bars if not b.special], [b for b in bars if b.special and (b.reference or b.now)]
    if len(plain) <= CATEGORIES_SHOWN:
        return [*plain, *special]
    kept = {id(b) for b in sorted(plain, key=lambda b: -max(b.reference, b.now))[: CATEGORIES_SHOWN - 1]}
    rest = [b for b in plain if id(b) not in kept]
    together = Bar(
        name=f"{len(rest)} more", reference=sum(b.reference for b in rest), now=sum(b.now for b in rest), special=True
    )
    return [*(b for b in plain if id(b) in kept), together, *special]


def defects(last: Last | None) -> list[Defect]:
    """What the operator found wrong with values, worst first."""
    return [
        Defect(
            column=found.column,
            check=CHECKS.get(found.check, found.check),
            now=found.share,
            reference=found.reference,
            allowed=found.allowed,
            degraded=found.degraded,
        )
        for found in (last.defects if last else ())
    ]


def compared_with(status: Mapping[str, Any], last: Last | None) -> str:
    """Names the reference. A monitor that was re-based says so in `status.baseline`."""
    if last is None:
        return "nothing yet"
    season = status.get("baseline")
    if season:
        return f"the season from {season['start']} to {season['end']} ({last.expected.rows} rows), whose predictions were found to be good"
    return _rows_named(last.expected, last.version)


def _rows_named(reference: Reference, version: str) -> str:
    return f"{_ROWS_OF[reference.rows_of]} of {version} ({reference.rows} rows)"
