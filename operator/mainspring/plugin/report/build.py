"""From what the cluster knows to what a report says. Pure: the same sources give the same report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mainspring import __version__
from mainspring.api.v1alpha1.common import ANNOTATION_PROMOTED_AT, ANNOTATION_RETRAIN_MESSAGE
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec, ModelMonitorStatus
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor.records import THOUSAND, Record
from mainspring.plugin.report import comparison, verdict
from mainspring.plugin.report.facts import ConditionFacts, Moved, Report, RetrainFacts, WindowFacts
from mainspring.plugin.report.sources import Sources


def build_report(sources: Sources) -> Report:
    spec = ModelMonitorSpec.model_validate(objects.spec(sources.monitor))
    status = ModelMonitorStatus.model_validate(objects.status(sources.monitor))
    windows = [_window(record) for record in sources.windows]
    subjects = comparison.subjects(spec, status, sources.last, _drifted(windows))
    retrains = _retrains(status, sources.runs)
    said = verdict.judge(spec, status, subjects, retrains, windows)
    return Report(
        monitor=objects.name(sources.monitor),
        namespace=objects.namespace(sources.monitor),
        generated=objects.format_time(sources.now),
        mainspring=__version__,
        service=spec.service,
        **_registry(sources),
        version=status.version,
        tone=said.tone,
        verdict=said.sentence,
        changed=said.changed,
        done=said.done,
        asked=spec.performance,
        performance=status.performance,
        window=windows[-1] if windows else None,
        judged=_judged(sources),
        drifted=status.drifted,
        compared_with=comparison.compared_with(objects.status(sources.monitor), sources.last),
        subjects=subjects,
        defects=comparison.defects(sources.last),
        need=status.need,
        retrains=retrains,
        windows=windows,
        conditions=[_condition(found) for found in objects.status(sources.monitor).get("conditions") or ()],
        notes=[*sources.gaps, *_notes(sources, windows)],
    )


def _drifted(windows: list[WindowFacts]) -> list[str]:
    """In the last window that was judged."""
    judged = next((window for window in reversed(windows) if window.judged), None)
    return [name for name, moved in judged.moved.items() if moved.drifted] if judged else []


def _registry(sources: Sources) -> dict[str, Any]:
    model = objects.spec(sources.model or {})
    promoted = objects.annotations_of(sources.version).get(ANNOTATION_PROMOTED_AT) if sources.version else None
    return {
        "model": objects.name(sources.model) if sources.model else None,
        "owner": model.get("owner"),
        "description": model.get("description"),
        "serving_since": promoted,
    }


def _judged(sources: Sources) -> str | None:
    last = sources.last
    return f"window {last.number}, {last.start} to {last.end}, {last.counts.rows} rows" if last else None


def _window(record: Record) -> WindowFacts:
    facts = {name: getattr(record, name) for name in Record.model_fields if name != "moves"}
    moved = {
        name: Moved(psi=psi / THOUSAND, threshold=threshold / THOUSAND, drifted=drifts)
        for name, (psi, threshold, drifts) in record.moves.items()
    }
    return WindowFacts(**facts, moved=moved)


def _retrains(status: ModelMonitorStatus, runs: Iterable[Object]) -> list[RetrainFacts]:
    messages = {objects.name(run): objects.annotations_of(run).get(ANNOTATION_RETRAIN_MESSAGE, "") for run in runs}
    return [RetrainFacts(entry=entry, message=messages.get(entry.run, "")) for entry in status.retrains or ()]


def _condition(found: Mapping[str, Any]) -> ConditionFacts:
    return ConditionFacts(**{name: str(found.get(name, "")) for name in ConditionFacts.model_fields})


def _notes(sources: Sources, windows: list[WindowFacts]) -> Iterable[str]:
    if not windows and not sources.gaps:
        yield "No window has closed since this monitor keeps a history, so there is nothing to plot yet."
    lost = objects.status(sources.monitor).get("lostRowsAtMost")
    if lost:
        yield f"Pods that ended without a last word may have taken up to {lost} rows with them, which are in no window."
    if sources.service is None:
        yield "The InferenceService could not be found."
