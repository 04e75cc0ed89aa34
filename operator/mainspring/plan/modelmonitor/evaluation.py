"""What a closed window says, and with it the whole season: drift, defects of inputs, and measured quality."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mainspring.api.contract import SliceCounts
from mainspring.api.monitoring import FeedbackCounts, Reference
from mainspring.api.v1alpha1.modelmonitor import (
    FEATURES_MAX,
    SLICES_MAX,
    FeatureStatus,
    ModelMonitorSpec,
    Performance,
    PerformanceStatus,
    SliceStatus,
)
from mainspring.api.v1alpha1.retraining import RetrainTrigger
from mainspring.plan.common import objects
from mainspring.plan.common.conditions import Condition
from mainspring.plan.modelmonitor import baseline
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor.labelling import Joined
from mainspring.plan.modelmonitor.state import Part, State, Streak
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics import coverage, drift, estimate, performance, quality
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.drift import FeatureDrift
from mainspring.plan.statistics.quality import Finding

SHORT_CHARACTERS = 256
PREDICTION = "prediction"
SHOWN = 3  # features and defects that a message names


@dataclass(frozen=True)
class Evaluation:
    """`evidence` holds what calls for a retrain by itself, over a full season, each with its sentence."""

    state: State  # with the streaks, the season and the baseline after this window
    moved: tuple[FeatureDrift, ...]
    expected: Reference  # what the window was compared with
    findings: tuple[Finding, ...]  # of inputs, always against the reference rows
    features: tuple[FeatureStatus, ...]
    drifted: int
    performance: PerformanceStatus | None
    conditions: tuple[Condition, ...]
    evidence: dict[RetrainTrigger, str]
    recovered: frozenset[RetrainTrigger]  # what a full season shows to be well


def evaluate(
    spec: ModelMonitorSpec, state: State, closed: Closed, reference: Reference, joined: Joined | None = None
) -> Evaluation:
    """`joined` is what a Dataset says, where labels come from one. Raises ValueError when the window was counted with
    the bins of another reference.
    """
    season_seconds = objects.parse_duration(spec.season).total_seconds()
    part = Part(start=closed.start, end=closed.end, counts=closed.counts)
    season = states.with_part(state.season, part, season_seconds)
    whole = states.together(season)
    full = season if states.covered_seconds(season) >= season_seconds else []
    told = _told(spec.performance, whole, bool(full), joined)
    measured = _measure(spec.performance, told.counts, reference)
    settled = baseline.settled(spec, state, full if told.covers or measured is None else [], measured)
    after = state.model_copy(update={"season": season, "baseline": settled})
    learning = baseline.is_learning(spec, after)
    findings = _findings(spec, closed.counts, reference)
    expected = baseline.for_window(spec, after, closed, reference)
    moved = () if learning else _drift(spec, after, closed, expected)
    lasting = None if learning or not full else _lasting(spec, after, whole, reference)
    evidence, recovered = _evidence(lasting, measured if told.covers else None)
    shown = [v for v in moved if v.degrees]
    return Evaluation(
        state=after.model_copy(update={"streaks": _streaks(moved)}) if closed.enough else after,
        moved=moved,
        expected=expected,
        findings=findings,
        features=_features(drift.worst(shown, FEATURES_MAX)),
        drifted=sum(v.drifted for v in moved),
        performance=_performance_status(spec.performance, told, closed.counts, reference, measured),
        conditions=(
            _drift_condition(spec, after, moved),
            _quality_condition(findings),
            *_measured(measured),
        ),
        evidence=evidence,
        recovered=recovered,
    )


def _drift(spec: ModelMonitorSpec, state: State, closed: Closed, expected: Reference) -> tuple[FeatureDrift, ...]:
    before = {name: drift.Streak(s.since, s.windows) for name, s in state.streaks.items()}
    floor = drift.FLOORS[spec.drift.sensitivity]
    return drift.judge(expected, closed.counts, before, closed.start, floor, spec.drift.exclude or ())


def _lasting(spec: ModelMonitorSpec, state: State, whole: WindowCounts, reference: Reference) -> list[FeatureDrift]:
    """What is different over the whole season: swings within it cancel out."""
    floor = drift.FLOORS[spec.drift.sensitivity]
    expected = baseline.for_season(spec, state, reference)
    verdicts = drift.judge(expected, whole, {}, "", floor, spec.drift.exclude or ())
    return [v for v in verdicts if v.exceeds]


def _measure(wanted: Performance | None, whole: WindowCounts, reference: Reference) -> performance.Performance | None:
    if wanted is None:
        return None
    return _judge(wanted, whole.feedback, reference)


def _judge(wanted: Performance, feedback: FeedbackCounts | None, reference: Reference) -> performance.Performance:
    bound = wanted.minimum if wanted.minimum is not None else wanted.maximum
    assert bound is not None  # the schema says so
    return performance.judge(wanted.metric, feedback, reference, bound, wanted.minimum_labels)


def _told(wanted: Performance | None, whole: WindowCounts, covers: bool, joined: Joined | None) -> Joined:
    """What labels say, and of which rows: feedback of the season, or what the Dataset says of its own."""
    if wanted is None or wanted.labels is None:
        return Joined(whole, covers)
    nothing = WindowCounts(digest=whole.digest, rows=0, columns=[])
    return joined or Joined(nothing, covers=False)


def _evidence(
    lasting: list[FeatureDrift] | None, measured: performance.Performance | None
) -> tuple[dict[RetrainTrigger, str], frozenset[RetrainTrigger]]:
    """Both are of a whole season; None when there is none yet."""
    evidence: dict[RetrainTrigger, str] = {}
    recovered: set[RetrainTrigger] = set()
    if lasting:
        evidence[RetrainTrigger.DRIFT_DETECTED] = _named(v.explanation for v in drift.worst(lasting, SHOWN))
    elif lasting is not None:
        recovered.add(RetrainTrigger.DRIFT_DETECTED)
    if measured is not None and measured.verdict is performance.Verdict.DEGRADED:
        evidence[RetrainTrigger.PERFORMANCE_DEGRADED] = measured.explanation
    elif measured is not None and measured.verdict is performance.Verdict.MET:
        recovered.add(RetrainTrigger.PERFORMANCE_DEGRADED)
    return evidence, frozenset(recovered)


def _streaks(moved: tuple[FeatureDrift, ...]) -> dict[str, Streak]:
    return {name: Streak(since=s.since, windows=s.windows) for name, s in drift.streaks_of(moved).items()}


def _features(worst: list[FeatureDrift]) -> tuple[FeatureStatus, ...]:
    """Names are the keys of the list, so the prediction makes room for a feature that is called so."""
    is_taken = any(verdict.name == PREDICTION for verdict in worst)
    prediction = f"{PREDICTION} (output)" if is_taken else PREDICTION
    return tuple(_feature(verdict, verdict.name or prediction) for verdict in worst)


def _feature(verdict: FeatureDrift, name: str) -> FeatureStatus:
    return FeatureStatus(
        name=name,
        psi=round(verdict.psi, 4),
        threshold=round(verdict.threshold, 4),
        p_value=float(f"{verdict.adjusted_p:.3g}"),
        distance=round(verdict.js, 4),
        drifted=verdict.drifted,
        since=verdict.since,
        message=verdict.explanation[:256],
    )


def _named(texts: Iterable[str]) -> str:
    return "; ".join(texts)


def _drift_condition(spec: ModelMonitorSpec, state: State, moved: tuple[FeatureDrift, ...]) -> Condition:
    if baseline.is_learning(spec, state):
        text = (
            f"waits for a full season of {spec.season} (spec.season) to compare with (spec.drift.baseline: SamePhase)"
        )
        proved = " whose measured quality passes" if spec.performance else ""
        return Condition("DriftDetected", "Unknown", "LearningBaseline", f"{text}{proved}")
    drifted = [v for v in moved if v.drifted]
    if not drifted:
        return Condition("DriftDetected", "False", "NoDrift", f"none of {len(moved)} features and predictions drifts")
    more = f", and {len(drifted) - SHOWN} more" if len(drifted) > SHOWN else ""
    text = _named(f"{v.explanation} (since {v.since})" for v in drift.worst(drifted, SHOWN))
    return Condition("DriftDetected", "True", "FeaturesDrifted", f"{text}{more}")


def _findings(spec: ModelMonitorSpec, window: WindowCounts, reference: Reference) -> tuple[Finding, ...]:
    limits = spec.quality
    allowed = quality.Allowed(limits.max_missing_increase, limits.max_unseen_categories, limits.max_out_of_range)
    return quality.judge(reference, window, allowed, spec.drift.exclude or ())


def _quality_condition(findings: tuple[Finding, ...]) -> Condition:
    bad = sorted((f for f in findings if f.degraded), key=lambda f: f.allowed - f.least)
    if not bad:
        return Condition("QualityDegraded", "False", "WithinLimits", "inputs are as good as the reference rows")
    more = f", and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    text = _named(f.explanation for f in bad[:SHOWN])
    return Condition("QualityDegraded", "True", "InputsDegraded", f"{text}{more}")


def _measured(measured: performance.Performance | None) -> tuple[Condition, ...]:
    if measured is None:
        return ()
    status = {performance.Verdict.DEGRADED: "True", performance.Verdict.MET: "False"}.get(measured.verdict, "Unknown")
    reasons = {"True": "BelowBound", "False": "WithinBound", "Unknown": f"{measured.verdict.value}Labels"}
    reason = "Unavailable" if measured.verdict is performance.Verdict.UNAVAILABLE else reasons[status]
    return (Condition("PerformanceDegraded", status, reason, measured.explanation),)


def _performance_status(
    wanted: Performance | None,
    told: Joined,
    window: WindowCounts,
    reference: Reference,
    measured: performance.Performance | None,
) -> PerformanceStatus | None:
    if wanted is None or measured is None:
        return None
    covered = coverage.judge(told.counts, reference.classes)
    expected = estimate.judge(wanted.metric, reference, window).interval if wanted.estimate else None
    found = measured.interval
    return PerformanceStatus(
        metric=wanted.metric,
        labels=measured.labels,
        until=told.until,
        slices=[_slice(wanted, item, reference) for item in told.slices[:SLICES_MAX]] or None,
        coverage=round(covered.share, 4),
        biased=covered.biased,
        value=_rounded(found.value) if found else None,
        lower=_rounded(found.lower) if found else None,
        upper=_rounded(found.upper) if found else None,
        estimated=_rounded(expected.value) if expected else None,
        estimated_lower=_rounded(expected.lower) if expected else None,
        estimated_upper=_rounded(expected.upper) if expected else None,
    )


def _slice(wanted: Performance, counted: SliceCounts, reference: Reference) -> SliceStatus:
    measured = _judge(wanted, counted.feedback, reference)
    found = measured.interval
    return SliceStatus(
        column=counted.column,
        category="(missing)" if counted.category is None else counted.category[:SHORT_CHARACTERS],
        rows=counted.rows,
        labels=measured.labels,
        value=_rounded(found.value) if found else None,
        lower=_rounded(found.lower) if found else None,
        upper=_rounded(found.upper) if found else None,
        degraded=measured.verdict is performance.Verdict.DEGRADED,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
