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
ROLLOUT = (
    stat(
        "Candidate",
        each("mainspring_rollout_info", OWN, "version"),
        legend="{{version}}",
        options={"textMode": "name"},
        text="What is rolled out; empty while nothing is.",
    ),
    stat(
        "Phase",
        each("mainspring_rollout_info", OWN, "phase"),
        legend="{{phase}}",
        options={"textMode": "name"},
    ),
    stat(
        "Verdict",
        each("mainspring_rollout_info", OWN, "verdict"),
        legend="{{verdict}}",
        options={"textMode": "name"},
        text="Of all metrics together.",
    ),
    stat("Its share of requests", each("mainspring_rollout_weight_ratio", OWN), "percentunit"),
    stat("Evidence", each("mainspring_rollout_evidence_ratio", OWN), "percentunit", text="Of what is needed to judge."),
    stat(
        "Changes that failed",
        each("mainspring_rollout_failure_ratio", OWN),
        "percentunit",
        text="Of the last ten rollouts, those that were rolled back, aborted or taken back.",
    ),
    Panel(
        "What is bad, of both versions",
        [Query(each("mainspring_rollout_bad_ratio", OWN, "metric", "revision"), "{{metric}} {{revision}}")],
        unit="percentunit",
        text="Share that failed, was slow, wrong or different, over the whole rollout.",
    ),
    Panel(
        "Evidence by metric",
        [
            Query(each("mainspring_rollout_requests", OWN, "metric"), "{{metric}}"),
            Query(each("mainspring_rollout_requests_needed", OWN, "metric"), "{{metric}} needed"),
        ],
        text="Requests, rows or labels of the candidate.",
    ),
    Panel(
        "Share of requests",
        [
            Query(each("mainspring_rollout_weight_ratio", OWN), "answered"),
            Query(each("mainspring_rollout_mirror_ratio", OWN), "copied, of the others"),
        ],
        unit="percentunit",
    ),
    table("What each metric says", each("mainspring_rollout_verdict", OWN, "metric", "verdict"), "Value"),
    table(
        "What was not taken",
        each("mainspring_rollout_held_back_timestamp_seconds", OWN, "version", "outcome", "reason"),
        "Value",
        text="And is still asked for.",
    ),
)
ENDED = each("mainspring_last_rollout_timestamp_seconds", OWN, "version", "outcome")
DASHBOARD = Dashboard(
    "service",
    "Service",
    "One InferenceService: traffic, latency, rollouts, batches, pods.",
    [
        Variable("namespace", "label_values(mainspring_service_pods_ready, namespace)"),
        Variable("service", 'label_values(mainspring_service_pods_ready{namespace="$namespace"}, service)'),
    ],
    [
        ("At a glance", GLANCE),
        ("Rollout", ROLLOUT),
        ("Traffic", TRAFFIC),
        ("Latency", LATENCY),
        ("Batches", BATCHES),
        ("Pods", PODS),
    ],
    [Annotation("Rollouts", f"{ENDED} * 1000", "{{version}} {{outcome}}")],
    since="now-1h",
)
