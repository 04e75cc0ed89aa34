"""Every query of the dashboards and every alert, on a real Prometheus that scrapes a real server and the operator's metrics."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
import yaml

from tests.chart import rendering
from tests.prometheus.fleet import ALERTS, GUIDE, Fleet
from tests.prometheus.server import Prometheus

DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in (rendering.CHART / "dashboards").glob("*.json")}
PANELS = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']} {target['refId']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel.get("targets", ())
]
ANNOTATIONS = [
    pytest.param(annotation["expr"], id=f"{name}: {annotation['name']}")
    for name, dashboard in DASHBOARDS.items()
    for annotation in dashboard["annotations"]["list"]
]
VARIABLES = [
    pytest.param(variable["name"], variable["definition"], id=f"{name}: {variable['name']}")
    for name, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
]
VALUES = {
    "namespace": "lab",
    "service": "tumours",
    "monitor": "tumours",
    "feature": "amount",
    "__rate_interval": "10s",
    "__range": "1m",
}
SELECTORS = sorted(
    {
        found
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
        for rule in group["rules"]
        for found in re.findall(r"\b(?:mainspring_[a-z_]+|up)\b(?:\{[^}]*\})?(?=[\[\s)]|$)", rule["expr"])
        if not found.startswith("mainspring_dev_")
    }
)
# What is right to be empty in this story.
EMPTY = {
    'mainspring_requests_total{code=~"5.."}': "no request failed",
    'mainspring_reconcile_seconds_count{outcome=~"bug|retry"}': "nor did a reconcile",
    'mainspring_retrain_decision{reason="BudgetExhausted"}': "one run was enough",
    'mainspring_retrain_decision{reason="GaveUp"}': "at once",
    'mainspring_retrain_decision{reason=~"DatasetNotFound|DatasetBroken"}': "the Dataset is there",
    'mainspring_retrain_decision{reason="AwaitingPromotion"}': "the Model promotes by itself",
    'mainspring_last_retrain_timestamp_seconds{outcome="Failed"}': "the run went well",
    'mainspring_rollout_held_back_timestamp_seconds{outcome=~"RolledBack|Failed"}': "a person aborted it",
    'mainspring_rollout_info{phase=~"Holding|AwaitingPromotion"}': "steps go on",
}


def filled_in(text: str) -> str:
    """With the values that Grafana would put there."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: VALUES[found[1]], text)


def numbers(prometheus: Prometheus, expression: str) -> list[float]:
    """All values that the expression ever had."""
    values = [float(value) for series in prometheus.history(expression) for _, value in series["values"]]
    return [value for value in values if not math.isnan(value)]


@pytest.mark.parametrize("expression", [*PANELS, *ANNOTATIONS])
def test_a_panel_shows_something(watched_fleet: Fleet, expression: str) -> None:
    assert numbers(watched_fleet.prometheus, filled_in(expression))


@pytest.mark.parametrize(("name", "definition"), VARIABLES)
def test_a_variable_offers_the_values_that_there_are(watched_fleet: Fleet, name: str, definition: str) -> None:
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", filled_in(definition))
    assert found is not None
    offered = {series["metric"].get(found[2]) for series in watched_fleet.prometheus.ever(found[1])}
    assert VALUES[name] in offered
    assert None not in offered


@pytest.mark.parametrize("selector", SELECTORS)
def test_what_an_alert_looks_at_is_there(watched_fleet: Fleet, selector: str) -> None:
    assert bool(numbers(watched_fleet.prometheus, selector)) != (selector in EMPTY), EMPTY.get(selector)


def test_what_may_be_empty_is_looked_at() -> None:
    assert EMPTY.keys() <= set(SELECTORS)


def test_prometheus_evaluates_every_alert(watched_fleet: Fleet) -> None:
    rules = [rule for group in watched_fleet.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules if rule["health"] == "ok"} == {
        rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    }


def firing(fleet: Fleet) -> set[str]:
    """Alerts that fired at some time of the story."""
    return {found["metric"]["alertname"] for found in fleet.prometheus.ever('ALERTS{alertstate="firing"}')}


def test_the_story_raises_the_alerts_that_it_should_and_no_others(watched_fleet: Fleet) -> None:
    assert firing(watched_fleet) == {"MainspringDriftDetected", "MainspringPerformanceDegraded"}


def test_alerts_end_with_their_cause(watched_fleet: Fleet) -> None:
    assert firing(watched_fleet)
    watched_fleet.await_none('ALERTS{alertstate="firing"}')


def test_the_story_is_told_in_numbers(watched_fleet: Fleet) -> None:
    def now(metric: str, labels: str = 'model="tumours"') -> float:
        (series,) = watched_fleet.prometheus.ever(f"{metric}{{{labels}}}")
        return float(series["value"][1])

    assert now("mainspring_promotions_total") == 3
    assert now("mainspring_rollbacks_total") == 1
    assert now("mainspring_change_failure_ratio") == 0.5
    assert now("mainspring_retrains_total", 'reason="PerformanceDegraded"') == 1
    assert now("mainspring_time_to_restore_seconds", 'outcome="Replaced"') > 0


def exported(fleet: Fleet) -> set[str]:
    names = fleet.prometheus.get("label/__name__/values")
    ours = [name for name in names if name.startswith("mainspring_") and not name.endswith("_created")]
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours}


# Told by a regression, or by a connection to an API server, of which there is none here.
NOT_HERE = {
    "mainspring_feedback_error_total",  # of regressions
    "mainspring_feedback_label_sum",
    "mainspring_api_requests_total",
    "mainspring_notices_total",  # of monitors with alerts
    "mainspring_payload_rows_total",  # of servers with a payload log
    "mainspring_payload_parts_total",
    "mainspring_payload_failures_total",
    "mainspring_payload_info",
    "mainspring_last_proving_seconds",  # of Models with promotion.provenBy
    "mainspring_proving_start_timestamp_seconds",
    "mainspring_shadow_requests_total",  # of servers in a rollout
    "mainspring_split_breaker_open",
    "mainspring_split_budget_seconds",
    "mainspring_split_compared_rows_total",
    "mainspring_forward_seconds",
    "mainspring_split_info",
    "mainspring_split_percent",
    "mainspring_split_problem",
    "mainspring_split_requests_total",
    "mainspring_split_skipped_copies_total",
}


def test_the_guide_names_every_metric_and_none_that_is_not_there(watched_fleet: Fleet) -> None:
    told = set(re.findall(r"`(mainspring_[a-z_]+)`", GUIDE.read_text())) - {"mainspring_dev_inference_service"}
    assert told == exported(watched_fleet) | NOT_HERE


def panel_ids(dashboard: dict[str, Any]) -> list[int]:
    return [panel["id"] for panel in dashboard["panels"]]


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_a_dashboard_is_complete(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == f"mainspring-{name}"
    assert len(set(panel_ids(dashboard))) == len(dashboard["panels"])
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie on each other"
    assert max(x for x, _ in cells) == 23
    for panel in dashboard["panels"]:
        expressions = [target["expr"] for target in panel.get("targets", ())]
        assert len(expressions) == len(set(expressions))
        assert bool(expressions) == (panel["type"] != "row")
