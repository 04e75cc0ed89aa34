"""The health of one model in production, as its ModelMonitor sees it."""

from __future__ import annotations

from mainspring.tools.dashboards.grafana import (
    GREEN_RED,
    RED_GREEN,
    YES_NO,
    Annotation,
    Dashboard,
    Panel,
    Query,
    Variable,
    stat,
)
from mainspring.tools.dashboards.queries import SERVICE, distribution, each, gained, per_second, reference

OWN = 'namespace="$namespace",monitor="$monitor"'
SERVERS = f'namespace="$namespace",{SERVICE}="$service"'
FEATURE = f'{SERVERS},feature="$feature"'
SHOWN = 5
# The usual reading of a population stability index: nothing, something, much.
PSI = (("green", None), ("yellow", 0.1), ("red", 0.25))


def finding(title: str, metric: str, text: str) -> Panel:
    return stat(title, each(metric, OWN), thresholds=GREEN_RED, names=YES_NO, text=text)


GLANCE = (
    finding("Drift", "mainspring_drift_detected", "Features or predictions are distributed differently."),
    finding("Bad inputs", "mainspring_input_quality_degraded", "More is missing, unseen or out of range than allowed."),
    finding("Worse than allowed", "mainspring_performance_degraded", "By labels, over the last season."),
    stat(
        "Rows enough to judge",
        each("mainspring_data_sufficient", OWN),
        thresholds=RED_GREEN,
        names=YES_NO,
        text="In the last window.",
    ),
    stat(
        "Retraining",
        each("mainspring_retrain_decision", OWN, "reason"),
        legend="{{reason}}",
        options={"textMode": "name"},
        text="The reason of the condition RetrainTriggered.",
    ),
    stat(
        "A new model is needed since",
        f"{each('mainspring_retrain_need_timestamp_seconds', OWN)} * 1000",
        "dateTimeFromNow",
        text="Empty while none is.",
    ),
)


def quality(metric: str, name: str, kind: str) -> Query:
    return Query(each(metric, f'{OWN},kind="{kind}"', "metric"), f"{{{{metric}}}}, {kind}{name}")


QUALITY = (
    Panel(
        "Quality",
        [
            quality(f"mainspring_model_quality{end}", name, kind)
            for kind in ("measured", "estimated")
            for end, name in (("", ""), ("_lower", ", from"), ("_upper", ", to"))
        ]
        + [Query(each("mainspring_model_quality_bound", OWN, "metric", "side"), "{{side}}")],
        width=16,
        text="With 95 % intervals, over the last season. Measured by labels, or estimated without. Marks are retrains.",
    ),
    Panel(
        "Rows that have a label",
        [Query(each("mainspring_label_coverage_ratio", OWN), "coverage")],
        unit="percentunit",
    ),
)
DRIFT = (
    Panel(
        "Drift by feature",
        [Query(each("mainspring_drift_score", f'{OWN},test="psi"', "feature"), "{{feature}}")],
        "status-history",
        width=24,
        thresholds=PSI,
        options={"showValue": "never", "rowHeight": 0.9},
        custom={"fillOpacity": 80},
        text="Population stability index of the features that moved most, each window against the reference.",
    ),
)


def bars(title: str, counted: str, expected: str, labels: str) -> Panel:
    return Panel(
        title,
        [Query(distribution(counted, labels), "now", instant=True), Query(reference(expected, labels), instant=True)],
        "barchart",
        "percentunit",
        width=12,
        text="Over the range of the dashboard, beside the reference that came with the model.",
        transformations=[
            {"id": "joinByField", "options": {"byField": "bin", "mode": "outer"}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time 1": True, "Time 2": True},
                    "renameByName": {"Value #A": "now", "Value #B": "reference"},
                },
            },
        ],
    )


def share_of_rows(defect: str) -> str:
    """Of the features where it happens most."""
    rows = f"scalar({per_second('mainspring_rows_total', SERVERS)})"
    return f"topk({SHOWN}, {per_second(f'mainspring_feature_{defect}_total', SERVERS, 'feature')} / {rows})"


INPUTS = (
    bars("Feature $feature", "mainspring_feature_bin_total", "mainspring_feature_reference_rows", FEATURE),
    bars("Predictions", "mainspring_prediction_bin_total", "mainspring_prediction_reference_rows", SERVERS),
    *(
        Panel(title, [Query(share_of_rows(defect), "{{feature}}")], unit="percentunit", text=text)
        for title, defect, text in (
            ("Missing values", "missing", "Share of rows."),
            ("Categories that training never saw", "unseen", "Share of rows."),
            ("Numbers out of the range of training", "out_of_range", "Share of rows."),
        )
    ),
)
WINDOWS = (
    Panel("Rows in a window", [Query(each("mainspring_window_rows", OWN), "rows")], width=6),
    Panel("Labels in a window", [Query(each("mainspring_window_labels", OWN), "labels")], width=6),
    Panel(
        "Age of the last window",
        [Query(f"time() - {each('mainspring_window_end_timestamp_seconds', OWN)}", "age")],
        unit="s",
        width=6,
    ),
    Panel(
        "Pods",
        [
            Query(each("mainspring_monitor_pods_read", OWN), "read"),
            Query(each("mainspring_service_pods_ready", 'namespace="$namespace",service="$service"'), "ready"),
        ],
        width=6,
    ),
)
RETRAINING = (
    Panel("Drifting features", [Query(each("mainspring_drifted_features", OWN), "features")], width=6),
    Panel("Runs started", [Query(each("mainspring_retrains_total", OWN, "reason"), "{{reason}}")], width=6),
    Panel(
        "The last need, until it was met",
        [Query(each("mainspring_time_to_restore_seconds", OWN, "outcome"), "{{outcome}}")],
        unit="s",
        width=6,
    ),
    stat(
        "Rows that were not counted",
        gained("mainspring_lost_rows_total", OWN),
        width=6,
        text="At most, over the range of the dashboard: pods that ended without a last word.",
    ),
)
RETRAIN = each("mainspring_last_retrain_timestamp_seconds", OWN, "reason")
DASHBOARD = Dashboard(
    "model",
    "Model health",
    "One model in production: drift, quality, inputs, retrains.",
    [
        Variable("namespace", "label_values(mainspring_monitor_pods_read, namespace)"),
        Variable("monitor", 'label_values(mainspring_monitor_pods_read{namespace="$namespace"}, monitor)'),
        Variable("service", f"label_values(mainspring_monitor_pods_read{{{OWN}}}, service)", hidden=True),
        Variable("feature", f"label_values(mainspring_feature_reference_rows{{{SERVERS}}}, feature)"),
    ],
    [
        ("At a glance", GLANCE),
        ("Quality", QUALITY),
        ("Drift", DRIFT),
        ("Inputs", INPUTS),
        ("Windows", WINDOWS),
        ("Retraining", RETRAINING),
    ],
    [Annotation("Retrains", f"{RETRAIN} * 1000", "retrain: {{reason}}")],
    since="now-24h",
)
