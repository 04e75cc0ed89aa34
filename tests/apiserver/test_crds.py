"""The CRDs as the API server sees them: accepted (so within its cost budget), listed, scaled."""

from __future__ import annotations

import copy

import pytest

from mainspring.api.v1alpha1 import KINDS
from mainspring.api.v1alpha1.common import API_VERSION, Kind
from mainspring.tools import crdgen
from tests.apiserver import objects
from tests.apiserver.server import Refused, Server, item

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


@each_kind
def test_the_schema_is_structural_and_the_names_are_free(server: Server, kind: Kind) -> None:
    conditions = server.get(crdgen.crd(kind))["status"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions} == {"NamesAccepted": "True", "Established": "True"}


@each_kind
def test_an_unbounded_string_under_a_costly_rule_would_be_refused(server: Server, kind: Kind) -> None:
    """The budget is real: the same CRD with one careless rule does not pass."""
    crd = copy.deepcopy(crdgen.crd(kind))
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["careless"] = {"type": "array", "items": {"type": "string"}}
    spec["x-kubernetes-validations"] = [
        {"rule": "!has(self.careless) || self.careless.all(x, self.careless.exists(y, x.matches(y)))", "message": "m"}
    ]
    with pytest.raises(Refused, match="estimated rule cost"):
        server.apply(crd, dryRun="All")


@each_kind
def test_the_api_server_offers_what_the_kind_says(server: Server, kind: Kind) -> None:
    offered = {found["name"]: found for found in server.request("GET", f"/apis/{API_VERSION}")["resources"]}
    found = offered[kind.plural]
    assert found["shortNames"] == [kind.short]
    assert found["categories"] == ["mainspring", "mlops"]
    assert found["namespaced"]
    assert f"{kind.plural}/status" in offered
    assert (f"{kind.plural}/scale" in offered) == kind.scale


@each_kind
def test_kubectl_get_shows_the_columns(server: Server, namespace: str, kind: Kind) -> None:
    path = item(server.create(objects.manifest(kind.kind, namespace)))
    table = server.request("GET", path, accept=TABLE)
    shown = [column["name"] for column in table["columnDefinitions"]]
    assert shown == ["Name", *(column.name for column in crdgen.columns(kind))]
    (row,) = table["rows"]
    assert row["cells"][0] == objects.NAMES.get(kind.kind, "m")


def test_a_condition_reaches_its_column(server: Server, namespace: str) -> None:
    made = server.create(objects.manifest("Model", namespace))
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "Waiting",
        "message": "m",
        "lastTransitionTime": objects.TIME,
    }
    server.merge(made, {"status": {"observedGeneration": 1, "conditions": [ready]}}, "/status")
    table = server.request("GET", item(made), accept=TABLE)
    cells = dict(zip((c["name"] for c in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True))
    assert (cells["Ready"], cells["Reason"]) == ("False", "Waiting")


def test_scaling_a_service_sets_its_replicas(server: Server, namespace: str) -> None:
    made = server.create(objects.manifest("InferenceService", namespace))
    server.merge(made, {"spec": {"replicas": 3}}, "/scale")
    assert server.get(made)["spec"]["replicas"] == 3


def test_the_scale_of_a_service_tells_pods_and_selector(server: Server, namespace: str) -> None:
    made = server.create(objects.manifest("InferenceService", namespace, {"model": {"name": "m"}, "replicas": 2}))
    server.merge(made, {"status": {"observedGeneration": 1, "replicas": 1, "selector": "app=m"}}, "/status")
    scale = server.request("GET", item(made) + "/scale")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 1, "selector": "app=m"}
