"""One InferenceService: its traffic, how fast it answers, and what its pods do."""

from __future__ import annotations

from mainspring.tools.dashboards.grafana import (
    RED_GREEN,
    YES_NO,
    Annotation,
    Dashboard,
    Panel,
    Query,
    Variable,
    stat,
    table,
)
from mainspring.tools.dashboards.queries import SECONDS, SERVICE, each, error_ratio, per_second, quantile

SERVERS = f'namespace="$namespace",{SERVICE}="$service"'
OWN = 'namespace="$namespace",service="$service"'
QUANTILES = (0.5, 0.95, 0.99)
READY = each("mainspring_service_pods_ready", OWN)

GLANCE = (
    stat(
        "Version",
        each("mainspring_service_info", OWN, "version"),
        legend="{{version}}",
        options={"textMode": "name"},
        text="The version that answers.",
    ),
    stat(
        "Answers",
        each("mainspring_service_available", OWN),
        thresholds=RED_GREEN,
        names=YES_NO,
    ),
    stat("Ready pods", READY),
    stat("Requests", per_second("mainspring_requests_total", SERVERS), "reqps"),
    stat("Requests that fail", error_ratio(SERVERS), "percentunit", text="Answers with 5xx."),
    stat("Latency, p99", quantile(0.99, SECONDS, SERVERS), "s"),
)
TRAFFIC = (
    Panel("By status", [Query(per_second("mainspring_requests_total", SERVERS, "code"), "{{code}}")], unit="reqps"),
    Panel(
        "By version",
        [Query(per_second("mainspring_requests_total", SERVERS, "version"), "version {{version}}")],
        unit="reqps",
    ),
    Panel(
        "Rows", [Query(per_second("mainspring_rows_total", SERVERS, "version"), "version {{version}}")], unit="rowsps"
    ),
)
LATENCY = (
    Panel(
        "Quantiles",
        [Query(quantile(share, SECONDS, SERVERS), f"p{share * 100:g}") for share in QUANTILES],
        unit="s",
        text="From a complete request to its answer, inside the server.",
    ),
    Panel(
        "p95 by version",
        [Query(quantile(0.95, SECONDS, SERVERS, "version"), "version {{version}}")],
        unit="s",
    ),
    Panel(
        "All requests",
        [Query(per_second(f"{SECONDS}_bucket", SERVERS, "le"), "{{le}}")],
        "heatmap",
        "s",
        options={"calculate": False, "yAxis": {"unit": "s"}, "color": {"scheme": "Blues"}},
    ),
)


def mean(histogram: str) -> str:
    return f"{per_second(f'{histogram}_sum', SERVERS)} / {per_second(f'{histogram}_count', SERVERS)}"


BATCHES = (
    Panel(
        "Rows in one call of the model",
        [Query(mean("mainspring_batch_rows"), "mean"), Query(quantile(0.95, "mainspring_batch_rows", SERVERS), "p95")],
    ),
    Panel(
        "Time in the queue",
        [Query(quantile(share, "mainspring_queue_seconds", SERVERS), f"p{share * 100:g}") for share in QUANTILES],
        unit="s",
        text="Before the prediction starts. Where it is as long as the latency, requests wait for each other: more replicas or CPU.",
    ),
    Panel(
        "Values of another datatype",
        [Query(per_second("mainspring_input_coercions_total", SERVERS, "version"), "version {{version}}")],
        text="Converted without loss. The client could send what the model asks for.",
    ),
)
PODS = (
    Panel("Ready", [Query(READY, "ready"), Query(f"sum(up{{{SERVERS}}})", "scraped")]),
    Panel(
        "CPU", [Query(per_second("process_cpu_seconds_total", SERVERS, "pod"), "{{pod}}")], unit="short", text="Cores."
    ),
    Panel("Memory", [Query(f"max by (pod) (process_resident_memory_bytes{{{SERVERS}}})", "{{pod}}")], unit="bytes"),
    table(
        "How the model runs",
        f"count by (version, path, fallback_reason) (mainspring_model_info{{{SERVERS}}})",
        width=24,
        text="path is onnx where the fast one could be taken; fallback_reason says why not.",
    ),
)
ROLLOUT = each("mainspring_last_rollout_timestamp_seconds", OWN, "version", "outcome")
DASHBOARD = Dashboard(
    "service",
    "Service",
    "One InferenceService: traffic, latency, versions, batches, pods.",
    [
        Variable("namespace", "label_values(mainspring_service_pods_ready, namespace)"),
        Variable("service", 'label_values(mainspring_service_pods_ready{namespace="$namespace"}, service)'),
    ],
    [("At a glance", GLANCE), ("Traffic", TRAFFIC), ("Latency", LATENCY), ("Batches", BATCHES), ("Pods", PODS)],
    [Annotation("Rollouts", f"{ROLLOUT} * 1000", "{{version}} {{outcome}}")],
    since="now-1h",
)
