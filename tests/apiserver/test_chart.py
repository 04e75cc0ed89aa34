"""The chart's objects before a real API server: every field known, every pod admitted where Pod Security is strict."""

from __future__ import annotations

import copy
import re

import pytest

from tests.apiserver.server import DRY_RUN, Refused, Server
from tests.chart import rendering


@pytest.mark.parametrize("variant", rendering.VARIANTS)
def test_every_object_is_valid_to_the_last_field(server: Server, namespace: str, variant: str) -> None:
    settings = ("watch.namespaces=null", "monitoring.dashboards.namespace=")
    manifests = rendering.parse(rendering.template(variant, *settings, namespace=namespace))
    # The kinds of the Prometheus Operator are not here: tests/chart and promtool look at those.
    known = [manifest for manifest in manifests if not manifest["apiVersion"].startswith("monitoring.coreos.com/")]
    assert len(known) > 10
    for manifest in known:
        assert server.apply(manifest, dryRun="All")["metadata"]["name"] == manifest["metadata"]["name"]


def test_a_misspelt_field_would_be_noticed(server: Server, namespace: str) -> None:
    manifests = rendering.parse(rendering.template(namespace=namespace))
    deployment = copy.deepcopy(rendering.one(manifests, "Deployment", "mainspring"))
    deployment["spec"]["template"]["spec"]["serviceAcountName"] = "x"
    with pytest.raises(Refused, match="serviceAcountName"):
        server.apply(deployment, dryRun="All")


@pytest.mark.parametrize("variant", rendering.VARIANTS)
def test_pods_are_admitted_where_pod_security_is_restricted(server: Server, restricted: str, variant: str) -> None:
    for pod in pods(server, restricted, variant):
        assert server.create(pod, **DRY_RUN)["metadata"]["namespace"] == restricted


def test_pod_security_is_at_work(server: Server, restricted: str) -> None:
    (pod, *_) = pods(server, restricted, "default")
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(Refused, match="violates PodSecurity"):
        server.create(pod, **DRY_RUN)


def pods(server: Server, namespace: str, variant: str) -> list[rendering.Manifest]:
    """A pod of each Deployment; their ServiceAccounts are made, as admission asks for them."""
    manifests = rendering.parse(rendering.template(variant, "priorityClassName=", namespace=namespace))
    for account in rendering.of_kind(manifests, "ServiceAccount"):
        server.apply(account)
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": deployment["metadata"]["name"], "namespace": namespace},
            "spec": copy.deepcopy(deployment["spec"]["template"]["spec"]),
        }
        for deployment in rendering.of_kind(manifests, "Deployment")
    ]


def test_what_the_notes_tell_people_to_apply_is_valid(server: Server, namespace: str) -> None:
    notes = rendering.helm("install", "x", rendering.CHART, "--dry-run=client", "--namespace", "ns")
    heredoc = re.search(r"^kubectl apply -f - <<EOF\n(.*?)\nEOF$", notes, re.DOTALL | re.MULTILINE)
    assert heredoc is not None
    manifests = rendering.parse(heredoc[1])
    assert [manifest["kind"] for manifest in manifests] == ["Dataset", "Model", "TrainingRun", "InferenceService"]
    for manifest in manifests:
        manifest["metadata"]["namespace"] = namespace
        server.apply(manifest, dryRun="All")
