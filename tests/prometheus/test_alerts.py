"""Every alert fires when it should and only then, by Prometheus's own evaluator, promtool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import rendering
from tests.cluster import command
from tests.cluster.errors import CommandFailed

FILE = rendering.CHART / "monitoring" / "alerts.yaml"
GUIDE = rendering.REPOSITORY / "docs" / "guides" / "metrics.md"
GROUPS = yaml.safe_load(FILE.read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}

OWN = 'namespace="lab",monitor="m"'
MONITOR = {"namespace": "lab", "monitor": "m"}
SERVERS = 'namespace="lab",mainspring_dev_inference_service="s"'
SERVER = {"namespace": "lab", "mainspring_dev_inference_service": "s"}
READY = 'mainspring_object_ready{namespace="lab",name="o",kind='
LABELS_NEED = f'mainspring_retrain_need_timestamp_seconds{{{OWN},reason="DriftDetected"}}'

Series = Mapping[str, str]  # by name with labels, the values a minute apart in promtool's notation


def decision(reason: str) -> str:
    return f'mainspring_retrain_decision{{{OWN},reason="{reason}"}}'


def held_back(outcome: str) -> str:
    about = f'namespace="lab",service="s",version="v2",outcome="{outcome}",reason="ErrorRate"'
    return f"mainspring_rollout_held_back_timestamp_seconds{{{about}}}"


def rolling_out(phase: str) -> str:
    return f'mainspring_rollout_info{{namespace="lab",service="s",version="v2",phase="{phase}",verdict="Inconclusive"}}'


@dataclass(frozen=True)
class Case:
    """The alert fires at minute `at` with these labels and series `bad`, and not with `fine`."""

    bad: Series
    fine: Series
    labels: dict[str, str] = field(default_factory=lambda: MONITOR)
    at: int = 60


CASES = {
    "MainspringOperatorDown": Case(
        {'mainspring_leading{pod="a"}': "1x10 0x50", 'mainspring_leading{pod="b"}': "0x60"},
        {'mainspring_leading{pod="a"}': "1x57 _ _ _", 'mainspring_leading{pod="b"}': "0x58 1 1"},
        {},
    ),
    "MainspringReconcileErrors": Case(
        {
            'mainspring_reconcile_seconds_count{kind="Model",outcome="retry"}': "0+2x60",
            'mainspring_reconcile_seconds_count{kind="Model",outcome="wrote"}': "0+8x60",
        },
        {
            'mainspring_reconcile_seconds_count{kind="Model",outcome="retry"}': "0+1x60",
            'mainspring_reconcile_seconds_count{kind="Model",outcome="refused"}': "0+9x60",
        },
        {"kind": "Model"},
    ),
    "MainspringOperatorBug": Case(
        {'mainspring_reconcile_bugs_total{kind="Model"}': "0x50 1x10"},
        {'mainspring_reconcile_bugs_total{kind="Model"}': "0x20 1x40"},
        {"kind": "Model"},
    ),
    "MainspringObjectNotReady": Case(
        {f'{READY}"Dataset",pod="a"}}': "1x20 0x40"},
        {
            f'{READY}"Dataset",pod="a"}}': "1x40 0x20",
            f'{READY}"TrainingRun",pod="a"}}': "0x60",
        },
        {"namespace": "lab", "kind": "Dataset", "name": "o"},
    ),
    "MainspringServiceDown": Case(
        {'mainspring_service_available{namespace="lab",service="s"}': "1x50 0x10"},
        {'mainspring_service_available{namespace="lab",service="s"}': "1x59 0"},
        {"namespace": "lab", "service": "s"},
    ),
    "MainspringServiceErrors": Case(
        {
            f'mainspring_requests_total{{{SERVERS},pod="a",code="503"}}': "0+6x60",
            f'mainspring_requests_total{{{SERVERS},pod="b",code="200"}}': "0+94x60",
        },
        {
            f'mainspring_requests_total{{{SERVERS},pod="a",code="500"}}': "0+4x60",
            f'mainspring_requests_total{{{SERVERS},pod="a",code="400"}}': "0+50x60",
            f'mainspring_requests_total{{{SERVERS},pod="b",code="200"}}': "0+46x60",
            'mainspring_requests_total{namespace="lab",mainspring_dev_inference_service="quiet",code="503"}': "0+0.5x60",
        },
        SERVER,
    ),
    "MainspringServiceSlow": Case(
        {
            f'mainspring_request_seconds_bucket{{{SERVERS},pod="a",le="0.501"}}': "0+98x60",
            f'mainspring_request_seconds_bucket{{{SERVERS},pod="a",le="1.0"}}': "0+100x60",
            f'mainspring_request_seconds_bucket{{{SERVERS},pod="a",le="+Inf"}}': "0+100x60",
        },
        {
            f'mainspring_request_seconds_bucket{{{SERVERS},pod="a",le="0.4"}}': "0+995x60",
            f'mainspring_request_seconds_bucket{{{SERVERS},pod="a",le="1.0"}}': "0+1000x60",
            f'mainspring_request_seconds_bucket{{{SERVERS},pod="a",le="+Inf"}}': "0+1000x60",
        },
        SERVER,
    ),
    "MainspringServerNotScraped": Case(
        {f'up{{{SERVERS},pod="a"}}': "1x30 0x30"},
        {f'up{{{SERVERS},pod="a"}}': "1x55 0x5", 'up{namespace="lab",pod="somebody-elses"}': "0x60"},
        SERVER | {"pod": "a"},
    ),
    "MainspringRolloutRolledBack": Case(
        {held_back("RolledBack"): "_x50 1000x10"},
        {held_back("RolledBack"): "1000x50 stale", held_back("Aborted"): "1000x60"},
        {"namespace": "lab", "service": "s", "version": "v2", "outcome": "RolledBack", "reason": "ErrorRate"},
    ),
    "MainspringRolloutWaits": Case(
        {rolling_out("Stepping"): "1x40 stale", rolling_out("Holding"): "_x40 1x20"},
        {rolling_out("Stepping"): "1x60", rolling_out("AwaitingPromotion"): "_x56 1x4"},
        {"namespace": "lab", "service": "s", "version": "v2", "phase": "Holding"},
    ),
    "MainspringMonitorBlind": Case(
        {
            'mainspring_service_pods_ready{namespace="lab",service="s"}': "3x60",
            f'mainspring_monitor_pods_read{{{OWN},service="s"}}': "3x30 1x30",
        },
        {
            'mainspring_service_pods_ready{namespace="lab",service="s"}': "3x60",
            f'mainspring_monitor_pods_read{{{OWN},service="s"}}': "3x55 1x5",
            'mainspring_monitor_pods_read{namespace="lab",monitor="of-nothing",service="gone"}': "0x60",
        },
        MONITOR | {"service": "s"},
    ),
    "MainspringTooFewRows": Case(
        {f"mainspring_data_sufficient{{{OWN}}}": "0x60"}, {f"mainspring_data_sufficient{{{OWN}}}": "0x40 1x20"}
    ),
    "MainspringDriftDetected": Case(
        {f"mainspring_drift_detected{{{OWN}}}": "0x59 1"}, {f"mainspring_drift_detected{{{OWN}}}": "1x59 0"}
    ),
    "MainspringInputQualityDegraded": Case(
        {f"mainspring_input_quality_degraded{{{OWN}}}": "0x59 1"},
        {f"mainspring_input_quality_degraded{{{OWN}}}": "1x59 0"},
    ),
    "MainspringPerformanceDegraded": Case(
        {f"mainspring_performance_degraded{{{OWN}}}": "0x59 1"}, {f"mainspring_performance_degraded{{{OWN}}}": "1x59 0"}
    ),
    "MainspringRowsLost": Case(
        {f"mainspring_lost_rows_total{{{OWN}}}": "0x80 40x40"},
        {f"mainspring_lost_rows_total{{{OWN}}}": "0x10 40x110"},
        at=120,
    ),
    "MainspringRetrainFailed": Case(
        {f'mainspring_last_retrain_timestamp_seconds{{{OWN},reason="DriftDetected",outcome="Failed"}}': "1000x60"},
        {
            f'mainspring_last_retrain_timestamp_seconds{{{OWN},reason="DriftDetected",outcome="Failed"}}': "1000x50 stale",
            f'mainspring_last_retrain_timestamp_seconds{{{OWN},reason="DriftDetected",outcome="Running"}}': "_x50 3000x10",
        },
        MONITOR | {"reason": "DriftDetected"},
    ),
    "MainspringRetrainBudgetExhausted": Case(
        {decision("BudgetExhausted"): "_x30 1x30"}, {decision("CoolingDown"): "1x60"}
    ),
    "MainspringRetrainGaveUp": Case({decision("GaveUp"): "_x30 1x30"}, {decision("GaveUp"): "_x56 1x4"}),
    "MainspringRetrainBlocked": Case(
        {decision("DatasetBroken"): "1x60"},
        {decision("DatasetBroken"): "_x50 1x10", decision("RefreshingData"): "1x49 stale"},
        MONITOR | {"reason": "DatasetBroken"},
    ),
    "MainspringRetrainWaitsForLabels": Case(
        # It asks for new data now and then, which is no end of the waiting.
        {
            LABELS_NEED: "0x1600",
            decision("WaitingForLabels"): "1x1500 stale _x50",
            decision("RefreshingData"): "_x1500 1x60",
        },
        {
            LABELS_NEED: "0x1600",
            decision("Training"): "1x1600",
            'mainspring_retrain_need_timestamp_seconds{namespace="lab",monitor="n",reason="Schedule"}': "0x1600",
            'mainspring_retrain_decision{namespace="lab",monitor="n",reason="WaitingForLabels"}': "1x1600",
        },
        at=1500,
    ),
    "MainspringPromotionAwaited": Case(
        {decision("AwaitingPromotion"): "1x1600"}, {decision("AwaitingPromotion"): "_x300 1x1300"}, at=1500
    ),
}


def test_promtool_finds_nothing_wrong() -> None:
    command.run(["promtool", "check", "rules", "--lint-fatal", FILE])


def test_every_alert_has_a_case() -> None:
    assert list(CASES) == list(ALERTS)


def firing(name: str, series: Series, labels: Mapping[str, str] | None, at: int) -> dict[str, Any]:
    """A test for promtool; no labels: it must not fire."""
    told = {"alertname": name, "alertstate": "firing", "severity": ALERTS[name]["labels"]["severity"], **(labels or {})}
    expected = "ALERTS{" + ",".join(f'{key}="{value}"' for key, value in told.items()) + "}"
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{name}",alertstate="firing"}}',
                "eval_time": f"{at}m",
                "exp_samples": [] if labels is None else [{"labels": expected, "value": 1}],
            }
        ],
    }


def judge(name: str, folder: Path, *tests: dict[str, Any]) -> None:
    """Raises `CommandFailed` with what promtool says. All alerts at once would take it seconds."""
    (folder / "alert.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [ALERTS[name]]}]}))
    document = {"rule_files": ["alert.yaml"], "evaluation_interval": "1m", "tests": list(tests)}
    (folder / "test.yaml").write_text(yaml.safe_dump(document))
    command.run(["promtool", "test", "rules", folder / "test.yaml"])


@pytest.mark.parametrize("name", list(CASES))
def test_an_alert_fires_when_it_should_and_not_before(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    judge(name, tmp_path, firing(name, case.bad, case.labels, case.at), firing(name, case.fine, None, case.at))


def test_a_case_that_does_not_hold_is_noticed(tmp_path: Path) -> None:
    name = "MainspringServiceDown"
    case = CASES[name]
    with pytest.raises(CommandFailed, match=name):
        judge(name, tmp_path, firing(name, case.fine, case.labels, case.at))


@pytest.mark.parametrize("name", list(ALERTS))
def test_an_alert_says_what_it_is_about_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    notes = rule["annotations"]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(notes) == {"summary", "description", "runbook"}
    named = set(re.findall(r"\$labels\.(\w+)", notes["summary"] + notes["description"]))
    assert named <= CASES[name].labels.keys(), "a label that the alert does not have would be empty"
    assert notes["runbook"] == f"docs/guides/metrics.md#{name.lower()}"
    assert f"\n### {name}\n*{rule['labels']['severity']}" in GUIDE.read_text()
