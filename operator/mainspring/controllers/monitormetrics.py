"""What monitors found, as Prometheus metrics: told from their statuses, so a restart tells the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mainspring.plan.common.objects import Ref

Status = Mapping[str, Any]
LABELS = ("namespace", "monitor")
FINDINGS = {
    "mainspring_drift_detected": ("DriftDetected", "1 while features or predictions drift."),
    "mainspring_input_quality_degraded": ("QualityDegraded", "1 while inputs are worse than the reference rows."),
    "mainspring_performance_degraded": ("PerformanceDegraded", "1 while the measured quality breaks its bound."),
}


class MonitorCollector(Collector):
    def __init__(self) -> None:
        self._told: dict[Ref, Status] = {}

    def tell(self, monitor: Ref, status: Status) -> None:
        self._told[monitor] = status

    def forget(self, monitor: Ref) -> None:
        self._told.pop(monitor, None)

    def collect(self) -> Iterable[Metric]:
        for name, (condition, text) in FINDINGS.items():
            yield self._finding(name, condition, text)
        yield self._scores()
        yield self._qualities()
        yield self._retrains()

    def _finding(self, name: str, condition: str, text: str) -> Metric:
        """Absent while nothing is known."""
        family = GaugeMetricFamily(name, text, labels=LABELS)
        for monitor, status in self._told.items():
            found = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get(condition)
            if found in ("True", "False"):
                family.add_metric((monitor.namespace, monitor.name), float(found == "True"))
        return family

    def _scores(self) -> Metric:
        text = "How far a feature is from the reference, for the ten that moved most. test is psi or js_distance."
        family = GaugeMetricFamily("mainspring_drift_score", text, labels=(*LABELS, "feature", "test"))
        for monitor, status in self._told.items():
            for feature in status.get("features") or ():
                for test, field in (("psi", "psi"), ("js_distance", "distance")):
                    family.add_metric((monitor.namespace, monitor.name, feature["name"], test), feature[field])
        return family

    def _qualities(self) -> Metric:
        text = "Quality of the predictions of the last season. kind is measured (by labels) or estimated (without)."
        family = GaugeMetricFamily("mainspring_model_quality", text, labels=(*LABELS, "metric", "kind"))
        for monitor, status in self._told.items():
            told = status.get("performance") or {}
            for kind, field in (("measured", "value"), ("estimated", "estimated")):
                if field in told:
                    family.add_metric((monitor.namespace, monitor.name, told["metric"], kind), told[field])
        return family

    def _retrains(self) -> Metric:
        text = "TrainingRuns that a monitor started, of the last twenty that are there."
        family = GaugeMetricFamily("mainspring_retrains", text, labels=(*LABELS, "reason"))
        for monitor, status in self._told.items():
            for reason, count in sorted(Counter(r["reason"] for r in status.get("retrains") or ()).items()):
                family.add_metric((monitor.namespace, monitor.name, reason), count)
        return family


COLLECTOR = MonitorCollector()
REGISTRY.register(COLLECTOR)
