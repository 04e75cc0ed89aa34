"""What monitors found, as Prometheus sees it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from mainspring.controllers.monitormetrics import MonitorCollector
from mainspring.plan.common.objects import Ref
from tests import builders

MONITOR = Ref("ModelMonitor", "lab", "tumours")
LABELS = {"namespace": "lab", "monitor": "tumours"}
STATUS = {
    "conditions": [
        builders.condition("DriftDetected", "True", "FeaturesDrifted"),
        builders.condition("PerformanceDegraded", "Unknown", "InsufficientLabels"),
    ],
    "features": [{"name": "radius", "psi": 0.4, "distance": 0.2}],
    "performance": {"metric": "accuracy", "value": 0.9},
    "retrains": [{"reason": "PerformanceDegraded"}, {"reason": "PerformanceDegraded"}],
}


def told() -> tuple[CollectorRegistry, MonitorCollector]:
    registry, collector = CollectorRegistry(), MonitorCollector()
    registry.register(collector)
    collector.tell(MONITOR, STATUS)
    return registry, collector


def test_findings_scores_and_qualities_are_told() -> None:
    registry, _ = told()
    assert registry.get_sample_value("mainspring_drift_detected", LABELS) == 1
    assert registry.get_sample_value("mainspring_drift_score", {**LABELS, "feature": "radius", "test": "psi"}) == 0.4
    quality = {**LABELS, "metric": "accuracy", "kind": "measured"}
    assert registry.get_sample_value("mainspring_model_quality", quality) == 0.9
    assert registry.get_sample_value("mainspring_retrains", {**LABELS, "reason": "PerformanceDegraded"}) == 2


def test_what_is_not_known_is_not_told() -> None:
    registry, _ = told()
    assert registry.get_sample_value("mainspring_performance_degraded", LABELS) is None
    assert registry.get_sample_value("mainspring_input_quality_degraded", LABELS) is None


def test_a_monitor_that_is_gone_is_forgotten() -> None:
    registry, collector = told()
    collector.forget(MONITOR)
    assert registry.get_sample_value("mainspring_drift_detected", LABELS) is None
