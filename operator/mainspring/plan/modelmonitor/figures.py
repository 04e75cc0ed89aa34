"""What a ModelMonitor says in numbers: what was found, what it was found in, and what came of it.

Series of a monitor: about forty, whatever the number of features and pods; status names the ten features that moved most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import figures
from mainspring.plan.common.figures import Family, Figure
from mainspring.plan.common.objects import Ref

Status = Mapping[str, Any]
OWN = ("namespace", "monitor")

PODS_READ = Family(
    "mainspring_monitor_pods_read", "Pods of the service that answered the last reading.", (*OWN, "service")
)
FINDINGS = {
    "DriftDetected": Family("mainspring_drift_detected", "1 while features or predictions drift.", OWN),
    "QualityDegraded": Family(
        "mainspring_input_quality_degraded", "1 while inputs are worse than the reference rows.", OWN
    ),
    "PerformanceDegraded": Family(
        "mainspring_performance_degraded", "1 while the measured quality breaks its bound.", OWN
    ),
    "DataSufficient": Family("mainspring_data_sufficient", "1 if the last window had rows enough to be judged.", OWN),
}
DRIFTED = Family("mainspring_drifted_features", "Features and predictions that drift.", OWN)
DRIFT_SCORE = Family(
    "mainspring_drift_score",
    "How far a feature is from the reference, for the ten that moved most. test is psi or js_distance.",
    (*OWN, "feature", "test"),
)
QUALITY = (*OWN, "metric", "kind")
QUALITIES = {
    "": Family(
        "mainspring_model_quality",
        "Quality of the predictions of the last season. kind is measured (by labels) or estimated (without).",
        QUALITY,
    ),
    "lower": Family("mainspring_model_quality_lower", "Lower end of its 95 % interval.", QUALITY),
    "upper": Family("mainspring_model_quality_upper", "Upper end of its 95 % interval.", QUALITY),
}
BOUND = Family(
    "mainspring_model_quality_bound",
    "What spec.performance asks for. side is minimum or maximum.",
    (*OWN, "metric", "side"),
)
COVERAGE = Family(
    "mainspring_label_coverage_ratio", "Share of the rows of the last season that have a label, 0 to 1.", OWN
)
WINDOW_ROWS = Family("mainspring_window_rows", "Rows in the last window.", OWN)
WINDOW_LABELS = Family("mainspring_window_labels", "Labels that arrived in the last window.", OWN)
WINDOW_END = Family("mainspring_window_end_timestamp_seconds", "When the last window closed.", OWN)
LOST_ROWS = Family("mainspring_lost_rows", "Rows at most that pods took with them uncounted.", OWN, counter=True)
NEED = Family(
    "mainspring_retrain_need_timestamp_seconds",
    "When the open need for a new model began; absent while there is none. reason is what opened it.",
    (*OWN, "reason"),
)
DECISION = Family(
    "mainspring_retrain_decision", "1; reason is that of the condition RetrainTriggered.", (*OWN, "reason")
)
RETRAINS = Family(
    "mainspring_retrains",
    "TrainingRuns that the monitor started, each counted once it was seen.",
    (*OWN, "reason"),
    counter=True,
)
LAST_RETRAIN = Family(
    "mainspring_last_retrain_timestamp_seconds",
    "When the last of them was made. outcome is Running, Promoted, Rejected, Failed or Waiting.",
    (*OWN, "reason", "outcome"),
)
RESTORE = Family(
    "mainspring_time_to_restore_seconds",
    "Of the last need, from its begin until another version was served (outcome Replaced) or all was well (Recovered).",
    (*OWN, "outcome"),
)
FAMILIES = (
    *(PODS_READ, *FINDINGS.values(), DRIFTED, DRIFT_SCORE, *QUALITIES.values(), BOUND, COVERAGE),
    *(WINDOW_ROWS, WINDOW_LABELS, WINDOW_END, LOST_ROWS, NEED, DECISION, RETRAINS, LAST_RETRAIN, RESTORE),
)


def figures_of(monitor: Ref, spec: ModelMonitorSpec, status: Status) -> Iterator[Figure]:
    own = (monitor.namespace, monitor.name)
    yield from _findings(own, spec, status)
    yield from _qualities(own, spec, status.get("performance") or {})
    yield from _window(own, status)
    yield from _retraining(own, spec, status)


def _findings(own: tuple[str, str], spec: ModelMonitorSpec, status: Status) -> Iterator[Figure]:
    yield from PODS_READ(*own, spec.service, value=None if spec.suspend else status.get("pods", 0))
    for kind, family in FINDINGS.items():
        yield from family(*own, value=figures.condition(status, kind))
    yield from DRIFTED(*own, value=status.get("drifted"))
    for feature in status.get("features") or ():
        yield from DRIFT_SCORE(*own, feature["name"], "psi", value=feature["psi"])
        yield from DRIFT_SCORE(*own, feature["name"], "js_distance", value=feature["distance"])


def _qualities(own: tuple[str, str], spec: ModelMonitorSpec, told: Status) -> Iterator[Figure]:
    if spec.performance is None:
        return
    metric = spec.performance.metric
    for end, family in QUALITIES.items():
        yield from family(*own, metric, "measured", value=told.get(end or "value"))
        yield from family(*own, metric, "estimated", value=told.get(f"estimated{end.capitalize()}"))
    yield from BOUND(*own, metric, "minimum", value=spec.performance.minimum)
    yield from BOUND(*own, metric, "maximum", value=spec.performance.maximum)
    yield from COVERAGE(*own, value=told.get("coverage"))


def _window(own: tuple[str, str], status: Status) -> Iterator[Figure]:
    window = status.get("lastWindow") or {}
    yield from WINDOW_ROWS(*own, value=window.get("rows"))
    yield from WINDOW_LABELS(*own, value=window.get("labels"))
    yield from WINDOW_END(*own, value=figures.timestamp(window.get("end")))
    yield from LOST_ROWS(*own, value=status.get("lostRowsAtMost", 0))


def _retraining(own: tuple[str, str], spec: ModelMonitorSpec, status: Status) -> Iterator[Figure]:
    need, last = status.get("need") or {}, (status.get("retrains") or [{}])[-1]
    yield from NEED(*own, need.get("reason", ""), value=figures.timestamp(need.get("since")))
    decision = figures.reason(status, "RetrainTriggered")
    yield from DECISION(*own, decision, value=1 if decision else None)
    # From zero on, or the first one would be no increase.
    counted = {str(trigger): 0 for trigger in (spec.retrain.triggers if spec.retrain else ())}
    for reason, count in (counted | (status.get("retrained") or {})).items():
        yield from RETRAINS(*own, reason, value=count)
    told = (last.get("reason", ""), last.get("outcome", ""))
    yield from LAST_RETRAIN(*own, *told, value=figures.timestamp(last.get("time")))
    ended = status.get("lastNeed") or {}
    restored = figures.seconds(ended.get("since"), ended.get("until"))
    yield from RESTORE(*own, ended.get("outcome", ""), value=restored)
