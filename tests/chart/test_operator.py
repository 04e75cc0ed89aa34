"""The operator's pod: the environment is what its settings read, and the pod is small and locked down."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from mainspring.plan.common import settings
from tests.chart import podsecurity, rendering

each_variant = pytest.mark.parametrize("variant", rendering.VARIANTS)


def operator(variant: str = "default") -> rendering.Manifest:
    return rendering.one(rendering.rendered(variant), "Deployment", "mainspring")


def read(variant: str) -> settings.Settings:
    """The settings as the operator reads them in its pod."""
    environment = {
        name: value for name, value in rendering.environment(operator(variant)).items() if isinstance(value, str)
    }
    return settings.from_env({**environment, "MAINSPRING_NAMESPACE": rendering.NAMESPACE})


@each_variant
def test_every_variable_is_one_that_the_operator_reads(variant: str) -> None:
    known = {*settings.SETTINGS_ENV.values(), "MAINSPRING_LOG_LEVEL"}
    assert set(rendering.environment(operator(variant))) <= known


@pytest.mark.parametrize(("variant", "level"), [("default", logging.INFO), ("everything", logging.DEBUG)])
def test_the_log_level_is_one_that_logging_knows(variant: str, level: int) -> None:
    name = rendering.environment(operator(variant))["MAINSPRING_LOG_LEVEL"]
    assert logging.getLevelNamesMapping()[name.upper()] == level


def test_all_values_reach_the_settings() -> None:
    given = {name for variant in rendering.VARIANTS for name in rendering.environment(operator(variant))}
    assert set(settings.SETTINGS_ENV.values()) <= given


def test_the_namespace_comes_from_the_pod() -> None:
    source = rendering.environment(operator())["MAINSPRING_NAMESPACE"]
    assert source == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_by_default_artifacts_go_to_the_embedded_store() -> None:
    found = read("default")
    assert found.embedded_store
    assert found.store_endpoint == "http://mainspring-store.mainspring-system.svc:7070"
    assert found.store_admin_endpoint == "http://mainspring-store.mainspring-system.svc:7071"
    assert found.store_root_secret == "mainspring-store"


def test_an_own_store_replaces_the_embedded_one() -> None:
    found = read("own-store")
    assert found.artifacts_uri == "s3://models/mainspring"
    assert found.store_endpoint == ""
    assert found.service_account_annotations == {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/models"}
    kinds = {manifest["kind"] for manifest in rendering.rendered("own-store")}
    assert kinds.isdisjoint({"PersistentVolumeClaim", "NetworkPolicy"})


def test_images_are_named_by_registry_repository_and_digest_or_tag() -> None:
    found = read("everything")
    assert found.runtime_image == "registry.example.org:5000/mirror/other/runtime:v9"
    assert found.jobs_image == "registry.example.org:5000/mirror/mainspring/runtime-jobs:0.1.0"
    (container,) = rendering.containers(operator("everything"))
    assert container["image"] == "registry.example.org:5000/mirror/mainspring/operator@sha256:" + 64 * "1"


def test_lists_and_texts_arrive_as_they_were_given() -> None:
    found = read("everything")
    assert found.image_pull_policy == "Always"
    assert found.image_pull_secrets == ("pull", "pull-2")
    assert found.monitoring_namespaces == ("monitoring", "grafana")
    assert found.outgoing_hosts == ("*.example.org", "prometheus.monitoring.svc")
    assert found.priority_class == "platform"
    assert found.ca_bundle == "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert read("namespaced").watch_namespaces == ("team-a", "team-b")


def test_a_proxy_is_told_in_both_spellings_and_never_used_inside_the_cluster() -> None:
    found = read("everything").pod_env
    assert found["LOG_FORMAT"] == "json"
    assert found["HTTPS_PROXY"] == found["https_proxy"] == "http://proxy.example.org:3128"
    direct = found["NO_PROXY"].split(",")
    assert direct == found["no_proxy"].split(",")
    assert {".svc", ".cluster.local", "$(KUBERNETES_SERVICE_HOST)", "10.0.0.0/8", ".example.org"} <= set(direct)


def test_without_a_proxy_nothing_is_said_about_one() -> None:
    assert read("default").pod_env == {}


def test_what_a_pod_sets_itself_wins_over_the_proxy() -> None:
    text = rendering.template("everything", "podEnv.NO_PROXY=mine")
    environment = rendering.environment(rendering.one(rendering.parse(text), "Deployment", "mainspring"))
    assert json.loads(environment["MAINSPRING_POD_ENV"])["NO_PROXY"] == "mine"


def test_the_operator_is_light() -> None:
    (container,) = rendering.containers(operator())
    assert container["resources"] == {
        "requests": {"cpu": "50m", "memory": "128Mi"},
        "limits": {"memory": "256Mi"},
    }


def test_one_replica_is_recreated_and_several_roll() -> None:
    assert operator()["spec"]["strategy"] == {"type": "Recreate"}
    assert operator("everything")["spec"]["strategy"] == {"type": "RollingUpdate"}


def test_probes_and_metrics_use_the_port_of_that_name() -> None:
    (container,) = rendering.containers(operator())
    assert container["ports"] == [{"name": "probes", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "probes"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "probes"}
    service = rendering.one(rendering.rendered(), "Service", "mainspring-metrics")
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 8080, "targetPort": "probes"}]


@each_variant
def test_services_and_policies_select_the_pods_of_the_chart(variant: str) -> None:
    manifests = rendering.rendered(variant)
    pods = [m["spec"]["template"]["metadata"]["labels"] for m in rendering.of_kind(manifests, "Deployment")]
    for service in rendering.of_kind(manifests, "Service"):
        assert sum(service["spec"]["selector"].items() <= labels.items() for labels in pods) == 1
    for deployment in rendering.of_kind(manifests, "Deployment"):
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert sum(selector.items() <= labels.items() for labels in pods) == 1


@each_variant
def test_pods_pass_pod_security_restricted(variant: str) -> None:
    for deployment in rendering.of_kind(rendering.rendered(variant), "Deployment"):
        assert podsecurity.violations(deployment["spec"]["template"]["spec"]) == []
        assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in rendering.containers(deployment))


def broken(**changes: Any) -> dict[str, Any]:
    spec = operator()["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return {**spec, "containers": [{**container, "securityContext": {**container["securityContext"], **changes}}]}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (broken(allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
        (broken(capabilities={}), "capabilities"),
        (broken(runAsNonRoot=False), "runAsNonRoot"),
        (broken(runAsUser=0), "runAsUser"),
        (broken(seccompProfile={"type": "Unconfined"}), "seccompProfile"),
        (broken(privileged=True), "privileged"),
        ({**broken(), "hostNetwork": True}, "hostNetwork"),
        ({**broken(), "volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "hostPath"),
        ({**broken(), "securityContext": {}}, "seccompProfile"),
    ],
)
def test_a_pod_that_is_not_restricted_is_noticed(spec: dict[str, Any], says: str) -> None:
    assert any(says in violation for violation in podsecurity.violations(spec))
