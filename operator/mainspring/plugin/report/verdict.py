"""One sentence for who has ten seconds, and after it what changed, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mainspring.api.v1alpha1.common import Condition
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec, ModelMonitorStatus, Performance, PerformanceStatus
from mainspring.api.v1alpha1.retraining import Retrain
from mainspring.api.v1alpha1.trainingrun import LESS_IS_BETTER, Metric
from mainspring.plugin.report.facts import RetrainFacts, Subject, Tone, WindowFacts

SHOWN = 5
RETRAINS_TOLD = 3
_OUTCOMES = {
    "Promoted": "ModelVersion {version} came of it, proved better, and took over",
    "Rejected": "its ModelVersion {version} did not prove better and is not served",
    "Failed": "it failed",
    "Running": "it is under way",
    "Waiting": "its result waits for its gates or for a promotion",
}


@dataclass(frozen=True)
class Said:
    tone: Tone
    sentence: str
    changed: list[str]
    done: list[str]


@dataclass(frozen=True)
class _Case:
    spec: ModelMonitorSpec
    status: ModelMonitorStatus
    subjects: list[Subject]
    retrains: list[RetrainFacts]
    windows: list[WindowFacts]

    def condition(self, kind: str) -> Condition | None:
        return next((c for c in self.status.conditions or () if c.type == kind), None)

    def holds(self, kind: str, status: str = "True") -> bool:
        found = self.condition(kind)
        return found is not None and found.status == status

    def message(self, kind: str) -> str:
        found = self.condition(kind)
        return found.message if found else ""


def judge(
    spec: ModelMonitorSpec,
    status: ModelMonitorStatus,
    subjects: list[Subject],
    retrains: list[RetrainFacts],
    windows: list[WindowFacts],
) -> Said:
    case = _Case(spec, status, subjects, retrains, windows)
    tone, sentence = next(found for rule in RULES if (found := rule(case)) is not None)
    return Said(tone, sentence, [*_changed(case)], [*_done(case)])


def _cannot_watch(case: _Case) -> tuple[Tone, str] | None:
    if not case.holds("Stalled"):
        return None
    return Tone.BAD, f"Nobody watches this model: {case.message('Stalled')}."


def _suspended(case: _Case) -> tuple[Tone, str] | None:
    return (Tone.UNKNOWN, "This model is not watched: its monitor is suspended.") if case.spec.suspend else None


def _nothing_yet(case: _Case) -> tuple[Tone, str] | None:
    if case.status.last_window is not None:
        return None
    why = case.message("DataSufficient") or case.message("Ready") or "the monitor has not begun"
    return Tone.UNKNOWN, f"Nothing can be said yet: {why}."


def _degraded(case: _Case) -> tuple[Tone, str] | None:
    if not case.holds("PerformanceDegraded"):
        return None
    return Tone.BAD, f"The model is not good enough now: {_quality(case)}."


def _broken_inputs(case: _Case) -> tuple[Tone, str] | None:
    if not case.holds("QualityDegraded"):
        return None
    return Tone.ATTENTION, f"Requests come in with worse data than the model was made for; {_quality(case)}."


def _drifted(case: _Case) -> tuple[Tone, str] | None:
    if not case.holds("DriftDetected"):
        return None
    count = case.status.drifted or 0
    what = "One feature or prediction is" if count == 1 else f"{count} features and predictions are"
    return Tone.ATTENTION, f"{what} not as the model knows them; {_quality(case)}."


def _too_few(case: _Case) -> tuple[Tone, str] | None:
    if not case.holds("DataSufficient", "False"):
        return None
    return Tone.UNKNOWN, f"There are too few requests to judge: {case.message('DataSufficient')}."


def _drift_unknown(case: _Case) -> tuple[Tone, str] | None:
    if case.holds("DriftDetected", "False"):
        return None
    why = case.message("DriftDetected") or "the monitor does not say"
    return Tone.UNKNOWN, f"Whether requests have changed is not known: {why}; {_quality(case)}."


def _quality_unknown(case: _Case) -> tuple[Tone, str] | None:
    """Also when nobody measures it: no drift does not make a model good."""
    if case.spec.performance is not None and case.holds("PerformanceDegraded", "False"):
        return None
    return Tone.UNKNOWN, f"No drift is seen, but whether the model is good enough is not known: {_quality(case)}."


def _recovered(case: _Case) -> tuple[Tone, str] | None:
    """A retrain is why it is well."""
    if not (promoted := _took_over(case)):
        return None
    return Tone.WELL, f"The model recovered: since {promoted} took over, {_quality(case)}, and nothing drifts."


def _well(case: _Case) -> tuple[Tone, str] | None:
    return Tone.WELL, f"All is well: {_quality(case)}, and nothing drifts."


RULES = (
    _cannot_watch,
    _suspended,
    _nothing_yet,
    _degraded,
    _broken_inputs,
    _drifted,
    _too_few,
    _drift_unknown,
    _quality_unknown,
    _recovered,
    _well,
)


def _took_over(case: _Case) -> str | None:
    """The version that is served, if a retrain of this monitor made it within the history."""
    last = case.retrains[-1].entry if case.retrains else None
    if last is None or last.outcome != "Promoted" or last.version != case.status.version:
        return None
    begun = case.windows[0].start if case.windows else ""
    return last.version if last.time >= begun else None


def _quality(case: _Case) -> str:
    """As part of a sentence."""
    asked, found = case.spec.performance, case.status.performance
    if asked is None:
        return "how good its predictions are is not measured (spec.performance)"
    if found is None or found.value is None:
        return f"{metric_name(asked.metric)} cannot be measured yet ({case.message('PerformanceDegraded') or 'there are no labels'})"
    return f"{measured(found)}, and {bound(asked)} is asked for"


def measured(found: PerformanceStatus) -> str:
    text = f"{metric_name(found.metric)} is {found.value:.4g}"
    if found.lower is None or found.upper is None:
        return text
    return f"{text} ({found.lower:.4g} to {found.upper:.4g})"


def metric_name(metric: Metric) -> str:
    return metric.replace("_", " ")


def bound(asked: Performance) -> str:
    return f"at {'most' if asked.metric in LESS_IS_BETTER else 'least'} {limit(asked):g}"


def _changed(case: _Case) -> Iterable[str]:
    drifted = [s for s in case.subjects if s.drifted]
    if fell := _fell(case):
        yield fell
    for subject in drifted[:SHOWN]:
        yield _moved(subject)
    if len(drifted) > SHOWN:
        yield f"and {len(drifted) - SHOWN} more drift"
    if case.holds("QualityDegraded"):
        yield case.message("QualityDegraded")
    if not _anything(case):
        yield from _before(case)


def _moved(subject: Subject) -> str:
    """What everybody understands first."""
    figures, _, words = subject.explanation.partition("; ")
    since = f", since {subject.since}" if subject.since else ""
    return f"{subject.name}{since}: {words} ({figures})" if words else f"{subject.name}{since}: {figures}"


def _fell(case: _Case) -> str | None:
    """Since when the whole interval is on the wrong side, as far as the history goes back."""
    asked, first = case.spec.performance, None
    if asked is None or not case.holds("PerformanceDegraded"):
        return None
    for window in reversed(case.windows):
        if window.version != case.status.version or not is_beyond(window.performance, asked):
            break
        first = window
    side = "above" if asked.metric in LESS_IS_BETTER else "below"
    return f"{metric_name(asked.metric)} is {side} {limit(asked):g} since {first.end}" if first else None


def is_beyond(found: PerformanceStatus | None, asked: Performance) -> bool:
    """The whole interval is on the wrong side of the bound."""
    if found is None or found.lower is None or found.upper is None:
        return False
    less = asked.metric in LESS_IS_BETTER
    return found.lower > limit(asked) if less else found.upper < limit(asked)


def limit(asked: Performance) -> float:
    value = asked.minimum if asked.minimum is not None else asked.maximum
    assert value is not None  # the schema says so
    return value


def _anything(case: _Case) -> bool:
    return any(case.holds(kind) for kind in ("DriftDetected", "QualityDegraded", "PerformanceDegraded"))


def _before(case: _Case) -> Iterable[str]:
    """Nothing is wrong now: what was it that the version which is served was made for?"""
    promoted = _took_over(case)
    if promoted and case.retrains[-1].message:
        entry = case.retrains[-1].entry
        yield f"Before {promoted} took over: {case.retrains[-1].message} ({entry.champion})"
        yield from _drifted_before(case)
    if case.status.last_window is None:
        yield "Nothing is known yet"
    else:
        yield case.message("DriftDetected") or "nothing is known about drift"


def _drifted_before(case: _Case) -> Iterable[str]:
    windows = [w for w in case.windows if w.version != case.status.version and any(m.drifted for m in w.moved.values())]
    if not windows:
        return
    names = [*dict.fromkeys(name or "prediction" for w in windows for name, m in w.moved.items() if m.drifted)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    yield f"Drifted between {windows[0].start} and {windows[-1].end}: {', '.join(names[:SHOWN])}{more}"


def _done(case: _Case) -> Iterable[str]:
    if len(case.retrains) > RETRAINS_TOLD:
        yield f"{len(case.retrains) - RETRAINS_TOLD} earlier retrains are in the table below"
    for told in case.retrains[-RETRAINS_TOLD:]:
        yield _retrain(told)
    yield from _pending(case)
    if case.spec.retrain is None:
        yield "Nothing is done by itself: spec.retrain is not set, so it is for people to act"
    elif not case.retrains and case.status.need is None:
        yield _why_nothing(case, case.spec.retrain)


def _why_nothing(case: _Case, asked: Retrain) -> str:
    if case.status.last_window is None:
        return "Nothing yet"
    if not _anything(case):
        return "Nothing had to be done"
    wanted = " or ".join(asked.triggers)
    return f"No retrain was started: it takes {wanted} over a full season of {case.spec.season} (spec.retrain.triggers)"


def _retrain(told: RetrainFacts) -> str:
    entry = told.entry
    because = f" because {told.message}" if told.message else f" ({entry.reason})"
    outcome = _OUTCOMES.get(entry.outcome, entry.outcome).format(version=entry.version or "")
    return f"{entry.time}: TrainingRun {entry.run} was started{because}, with {entry.new_rows} new labelled rows; {outcome}"


def _pending(case: _Case) -> Iterable[str]:
    need = case.status.need
    if need is not None:
        yield f"Since {need.since} the model should be trained anew ({need.reason}): {case.message('RetrainTriggered')}"
