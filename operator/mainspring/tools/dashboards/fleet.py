"""All objects and services of the installation at a glance, and how the operator itself does."""

from __future__ import annotations

from mainspring.tools.dashboards.grafana import GREEN_RED, RED_GREEN, Dashboard, Panel, Query, Variable, stat, table
from mainspring.tools.dashboards.queries import SECONDS, SERVICE, each, error_ratio, per_second, quantile

SPACES = 'namespace=~"$namespace"'
SERVERS = f'{SPACES},{SERVICE}!=""'
READY = each("mainspring_object_ready", SPACES, "namespace", "kind", "name")
LEGEND = f"{{{{namespace}}}}/{{{{{SERVICE}}}}}"


def monitors(metric: str) -> str:
    return f"sum({each(metric, SPACES, 'namespace', 'monitor')}) or vector(0)"


NEEDS = each("mainspring_retrain_need_timestamp_seconds", SPACES, "namespace", "monitor", "reason")
GLANCE = (
    stat(
        "Operator",
        "max(mainspring_leading)",
        thresholds=RED_GREEN,
        names={0: "stands by", 1: "at work"},
        text="Whether a process holds the lease.",
    ),
    stat("Objects not ready", f"count({READY} == 0) or vector(0)", thresholds=GREEN_RED),
    stat(
        "Services that do not answer",
        f"count({each('mainspring_service_available', SPACES, 'namespace', 'service')} == 0) or vector(0)",
        thresholds=GREEN_RED,
    ),
    stat("Models with drift", monitors("mainspring_drift_detected"), thresholds=GREEN_RED),
    stat("Models worse than allowed", monitors("mainspring_performance_degraded"), thresholds=GREEN_RED),
    stat("Open needs for a new model", f"count({NEEDS}) or vector(0)", thresholds=GREEN_RED),
)
OBJECTS = (
    Panel("Objects", [Query(f"count by (kind) ({READY})", "{{kind}}")], width=8),
    table(
        "Not ready",
        f"{READY} < 1",
        "Value",
        width=8,
        text="Runs that are under way count too. kubectl describe says what each waits for.",
    ),
    table(
        "What is served",
        each("mainspring_service_info", SPACES, "namespace", "service", "model", "version"),
        "Value",
        width=8,
    ),
)
TRAFFIC = (
    Panel(
        "Requests",
        [Query(per_second("mainspring_requests_total", SERVERS, "namespace", SERVICE), LEGEND)],
        unit="reqps",
    ),
    Panel(
        "Requests that fail",
        [Query(error_ratio(SERVERS, "namespace", SERVICE), LEGEND)],
        unit="percentunit",
        text="Answers with 5xx.",
    ),
    Panel("Latency, p99", [Query(quantile(0.99, SECONDS, SERVERS, "namespace", SERVICE), LEGEND)], unit="s"),
)
RECONCILE = "mainspring_reconcile_seconds"
OPERATOR = (
    Panel("Reconcile, p99", [Query(quantile(0.99, RECONCILE, "", "kind"), "{{kind}}")], unit="s"),
    Panel(
        "Reconciles",
        [Query(per_second(f"{RECONCILE}_count", "", "outcome"), "{{outcome}}")],
        unit="ops",
        text="retry and bug are failures; refused is an object that the API server does not take, which its condition tells.",
    ),
    Panel(
        "Writes", [Query(per_second("mainspring_writes_total", "", "kind", "what"), "{{kind}} {{what}}")], unit="ops"
    ),
    Panel("Objects that wait for a worker", [Query("max(mainspring_workqueue_depth)", "waiting")]),
    Panel(
        "Silence of watches",
        [Query("time() - max by (kind) (mainspring_watch_last_event_timestamp_seconds)", "{{kind}}")],
        unit="s",
        text="Since something last happened to an object of the kind. Minutes are usual where nothing changes.",
    ),
    Panel(
        "Memory",
        [Query("process_resident_memory_bytes and on (instance) mainspring_leading", "{{pod}}")],
        unit="bytes",
        text="Of the operator.",
    ),
)
DASHBOARD = Dashboard(
    "fleet",
    "Fleet",
    "All objects and services of the installation, and the operator.",
    [Variable("namespace", "label_values(mainspring_object_ready, namespace)", all=True)],
    [("At a glance", GLANCE), ("Objects", OBJECTS), ("Traffic", TRAFFIC), ("Operator", OPERATOR)],
)
