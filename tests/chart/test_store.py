"""The embedded store: one writer, a volume that outlives the release, and an admin port for the operator alone."""

from __future__ import annotations

import pytest

from tests.chart import rendering

NAME = "mainspring-store"


def store(variant: str = "default") -> rendering.Manifest:
    return rendering.one(rendering.rendered(variant), "Deployment", NAME)


def test_the_volume_is_kept() -> None:
    claim = rendering.one(rendering.rendered(), "PersistentVolumeClaim", NAME)
    assert claim["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    }
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert "storageClassName" not in claim["spec"]


def test_size_and_class_can_be_chosen() -> None:
    claim = rendering.one(rendering.rendered("everything"), "PersistentVolumeClaim", NAME)
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_there_is_never_a_second_writer() -> None:
    assert store()["spec"]["replicas"] == 1
    assert store()["spec"]["strategy"] == {"type": "Recreate"}


def test_the_image_starts_its_own_program() -> None:
    (container,) = rendering.containers(store())
    assert container["image"] == "versity/versitygw:v1.8.0"
    assert "command" not in container
    assert container["args"] == [
        "--port=:7070",
        "--admin-port=:7071",
        "--iam-dir=/data/iam",
        "--iam-cache-disable",
        "--health=/healthz",
        "--quiet",
        "posix",
        "/data/objects",
    ]


def test_metadata_can_live_in_files() -> None:
    (container,) = rendering.containers(store("everything"))
    assert container["args"][-2:] == ["--sidecar=/data/metadata", "/data/objects"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {
        "/data/metadata",
        "/data/objects",
        "/data/iam",
    }


def test_the_root_credentials_come_from_the_secret_that_the_operator_makes() -> None:
    environment = rendering.environment(store())
    operator = rendering.environment(rendering.one(rendering.rendered(), "Deployment", "mainspring"))
    for key in ("ROOT_ACCESS_KEY", "ROOT_SECRET_KEY"):
        assert environment[key] == {"secretKeyRef": {"name": operator["MAINSPRING_STORE_ROOT_SECRET"], "key": key}}
    assert rendering.of_kind(rendering.rendered(), "Secret") == []


def test_the_pod_gets_no_token() -> None:
    assert store()["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_both_ports_are_reached_by_name() -> None:
    service = rendering.one(rendering.rendered(), "Service", NAME)
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {"s3": 7070, "admin": 7071}


@pytest.mark.parametrize("release", ["mainspring", "other"])
def test_only_the_operator_reaches_the_admin_port(release: str) -> None:
    manifests = rendering.parse(rendering.template(release=release))
    (policy,) = rendering.of_kind(manifests, "NetworkPolicy")
    anyone, admin = policy["spec"]["ingress"]
    assert anyone == {"from": [{"namespaceSelector": {}}], "ports": [{"port": 7070}]}
    assert admin["ports"] == [{"port": 7071}]
    (peer,) = admin["from"]
    selected = peer["podSelector"]["matchLabels"].items()
    pods = [m["spec"]["template"]["metadata"]["labels"] for m in rendering.of_kind(manifests, "Deployment")]
    assert [labels["app.kubernetes.io/component"] for labels in pods if selected <= labels.items()] == ["operator"]
