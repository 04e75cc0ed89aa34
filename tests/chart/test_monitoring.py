"""What a monitoring system finds: objects for the Prometheus Operator where there is one, annotations otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import builders as serving
from mainspring.plan.inferenceservice.observed import Observed
from tests import builders
from tests.chart import rendering
from tests.cluster import command
from tests.cluster.errors import CommandFailed

PROMETHEUS_OPERATOR = ("monitoring.coreos.com/v1",)
KINDS = ("PodMonitor", "PrometheusRule")
DASHBOARDS = {path.name: json.loads(path.read_text()) for path in (rendering.CHART / "dashboards").glob("*.json")}
ALERTS = yaml.safe_load((rendering.CHART / "monitoring" / "alerts.yaml").read_text())["groups"]


def with_operator(*settings: str, variant: str = "default") -> tuple[rendering.Manifest, ...]:
    return rendering.parse(rendering.template(variant, *settings, apis=PROMETHEUS_OPERATOR))


def kinds(manifests: tuple[rendering.Manifest, ...]) -> list[tuple[str, str]]:
    found = rendering.of_kind(manifests, *KINDS, "ConfigMap")
    return [(manifest["kind"], manifest["metadata"]["name"]) for manifest in found]


def notes(manifests: tuple[rendering.Manifest, ...]) -> dict[str, str]:
    """Annotations of the operator's pod."""
    deployment = rendering.one(manifests, "Deployment", "mainspring")
    found: dict[str, str] = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return found


def asks_for_annotations(manifests: tuple[rendering.Manifest, ...]) -> bool:
    deployment = rendering.one(manifests, "Deployment", "mainspring")
    return rendering.environment(deployment).get("MAINSPRING_SCRAPE_ANNOTATIONS") == "true"


ALL = {
    ("ConfigMap", "mainspring-dashboards"),
    ("PodMonitor", "mainspring-operator"),
    ("PodMonitor", "mainspring-servers"),
    ("PrometheusRule", "mainspring-alerts"),
}


def test_where_there_is_a_prometheus_operator_it_is_told_everything() -> None:
    manifests = with_operator()
    assert set(kinds(manifests)) == ALL
    assert (notes(manifests), asks_for_annotations(manifests)) == ({}, False)


def test_where_there_is_none_pods_have_annotations() -> None:
    manifests = rendering.rendered()
    assert kinds(manifests) == []
    assert notes(manifests) == {**serving.SCRAPE, "prometheus.io/port": "8080"}
    assert asks_for_annotations(manifests)


def test_each_can_be_switched_by_itself() -> None:
    switches = ("podMonitors", "rules", "dashboards")
    assert kinds(with_operator(*(f"monitoring.{name}.enabled=Never" for name in switches))) == []
    found = set(kinds(with_operator("monitoring.podMonitors.enabled=Never")))
    assert found == {item for item in ALL if item[0] != "PodMonitor"}
    assert asks_for_annotations(with_operator("monitoring.podMonitors.enabled=Never"))
    rendered = rendering.parse(rendering.template("default", "monitoring.dashboards.enabled=Always"))
    assert kinds(rendered) == [("ConfigMap", "mainspring-dashboards")]


def monitor(name: str, variant: str = "default") -> dict[str, Any]:
    spec: dict[str, Any] = rendering.one(with_operator(variant=variant), "PodMonitor", f"mainspring-{name}")["spec"]
    return spec


def test_the_operators_pod_is_selected_and_its_labels_win() -> None:
    template = rendering.one(rendering.rendered(), "Deployment", "mainspring")["spec"]["template"]
    spec = monitor("operator")
    (endpoint,) = spec["podMetricsEndpoints"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    assert endpoint["honorLabels"] is True


def served(**spec: Any) -> dict[str, Any]:
    """The pod template of a service."""
    obj = builders.stored(builders.service(**spec))
    observed = Observed(obj, InferenceServiceSpec.model_validate(objects.spec(obj)), builders.SETTINGS)
    template: dict[str, Any] = serving.build_deployment(observed, builders.model_version(1), "abc", 1)["spec"][
        "template"
    ]
    return template


def test_the_pods_of_services_are_selected_with_the_label_that_alerts_go_by() -> None:
    spec, template = monitor("servers"), served()
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert set(spec["podTargetLabels"]) <= template["metadata"]["labels"].keys()
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    foreign = served(runtime={"image": "triton:1"})
    assert endpoint["port"] not in [port["name"] for port in foreign["spec"]["containers"][0]["ports"]]


def test_no_other_pod_of_the_chart_is_selected() -> None:
    for name in ("operator", "servers"):
        wanted = monitor(name)["selector"]["matchLabels"].items()
        pods = [d["spec"]["template"]["metadata"] for d in rendering.of_kind(rendering.rendered(), "Deployment")]
        assert sum(wanted <= pod["labels"].items() for pod in pods) == (name == "operator")


def test_namespaces_are_those_that_are_watched() -> None:
    assert monitor("servers")["namespaceSelector"] == {"any": True}
    assert monitor("servers", "namespaced")["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def rules(variant: str = "default") -> dict[str, dict[str, Any]]:
    """The alerts of the PrometheusRule by name."""
    spec = rendering.one(with_operator(variant=variant), "PrometheusRule", "mainspring-alerts")["spec"]
    return {rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]}


def test_the_rules_are_those_of_the_file_for_the_operator_of_this_release(tmp_path: Path) -> None:
    spec = rendering.one(with_operator(), "PrometheusRule", "mainspring-alerts")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    command.run(["promtool", "check", "rules", "--lint-fatal", tmp_path / "rules.yaml"])
    down = spec["groups"][0]["rules"][0]
    assert down["expr"] == 'absent(mainspring_leading{namespace="mainspring-system"} == 1)'
    down["expr"] = "absent(mainspring_leading == 1)"
    assert spec["groups"] == ALERTS


def test_single_alerts_can_be_changed_and_left_out() -> None:
    found, usual = rules("monitored"), rules()
    assert usual.keys() - found.keys() == {"MainspringTooFewRows"}
    slow = usual["MainspringServiceSlow"]
    assert found["MainspringServiceSlow"] == {**slow, "for": "30m", "labels": {"severity": "info", "team": "ml"}}
    assert {name for name in found if found[name] != usual[name]} == {"MainspringServiceSlow"}


@pytest.mark.parametrize("setting", ["disabled={MainspringServiceSlwo}", "overrides.MainspringServiceSlwo.for=1h"])
def test_an_alert_that_does_not_exist_is_refused_by_name(setting: str) -> None:
    with pytest.raises(CommandFailed, match="there is no alert MainspringServiceSlwo; there are Mainspring"):
        with_operator(f"monitoring.rules.{setting}")


def test_dashboards_come_with_the_label_that_the_sidecar_goes_by() -> None:
    made = rendering.one(with_operator(), "ConfigMap", "mainspring-dashboards")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["metadata"]["annotations"] == {"grafana_folder": "Mainspring"}
    assert made["metadata"]["namespace"] == rendering.NAMESPACE
    assert {key: json.loads(text) for key, text in made["data"].items()} == {
        f"mainspring-{name}": dashboard for name, dashboard in DASHBOARDS.items()
    }
    assert len(json.dumps(made)) < 500_000, "a ConfigMap may have a megabyte"


def test_labels_annotations_and_namespace_are_the_users() -> None:
    made = rendering.one(rendering.rendered("monitored"), "ConfigMap", "mainspring-dashboards")["metadata"]
    assert (made["labels"]["dashboards"], made["annotations"]) == ("yes", {"grafana_folder": "Models"})
    assert made["namespace"] == "grafana"
    for manifest in rendering.of_kind(rendering.rendered("monitored"), *KINDS):
        assert manifest["metadata"]["labels"]["release"] == "prometheus"
    assert monitor("servers", "monitored")["podMetricsEndpoints"][0]["interval"] == "10s"
