"""The HTTPRoute of a service, and what its Gateway says of it."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import exposure
from mainspring.plan.inferenceservice.observed import Observed
from tests import builders, plans
from tests.unit.plan.test_inferenceservice import OLD, make, observe, revisions, stable

GATEWAY = {"name": "public", "namespace": "infra"}
EXPOSE: dict[str, Any] = {"gateway": GATEWAY, "hostnames": ["tumours.example.org"]}


def exposed(expose: dict[str, Any] | None = None, **more: Any) -> Observed:
    spec = {"expose": EXPOSE if expose is None else expose}
    return observe(told=stable(OLD), spec=spec, revisions=revisions(OLD), **more)


def route(*conditions: dict[str, Any]) -> dict[str, Any]:
    made = builders.manifest("HTTPRoute", "tumours", {})
    parents = [{"parentRef": GATEWAY, "controllerName": "example.org/one", "conditions": list(conditions)}]
    return {**made, "metadata": {**made["metadata"], "uid": "uid-route"}, "status": {"parents": parents}}


ACCEPTED = builders.condition("Accepted", "True", "Accepted")
RESOLVED = builders.condition("ResolvedRefs", "True", "ResolvedRefs")


def test_the_route_leads_from_the_gateway_to_the_service() -> None:
    made = exposure.build_route(exposed())
    assert objects.ref(made).name == "tumours"
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **GATEWAY}
    assert made["spec"]["parentRefs"] == [parent]
    assert made["spec"]["hostnames"] == ["tumours.example.org"]
    backend = {"group": "", "kind": "Service", "name": "tumours", "port": 8080, "weight": 100}
    assert made["spec"]["rules"] == [{"backendRefs": [backend]}]


def test_a_gateway_without_a_namespace_is_that_of_the_service_and_may_be_one_listener() -> None:
    made = exposure.build_route(exposed({"gateway": {"name": "public", "sectionName": "web"}}))
    (parent,) = made["spec"]["parentRefs"]
    assert (parent["namespace"], parent["sectionName"]) == (builders.NAMESPACE, "web")
    assert made["spec"]["hostnames"] == []


@pytest.mark.parametrize(
    ("weight", "backends"),
    [
        (0, {"tumours": 100}),
        (5, {"tumours": 95, "tumours-candidate": 5}),
        (100, {"tumours": 0, "tumours-candidate": 100}),
    ],
)
def test_a_share_goes_to_the_candidate_where_pods_cannot_split(weight: int, backends: dict[str, int]) -> None:
    (rule,) = exposure.build_route(exposed(), weight)["spec"]["rules"]
    assert {one["name"]: one["weight"] for one in rule["backendRefs"]} == backends


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        (None, "False", "Pending"),
        (route(ACCEPTED, RESOLVED), "True", "Accepted"),
        (route(ACCEPTED), "False", "Pending"),
        (route(builders.condition("Accepted", "False", "NotAllowedByListeners", "no"), RESOLVED), "False", "NotAllowedByListeners"),
        (route(ACCEPTED, builders.condition("ResolvedRefs", "False", "BackendNotFound", "gone")), "False", "BackendNotFound"),
    ],
)  # fmt: skip
def test_what_the_gateway_says_is_told(found: dict[str, Any] | None, status: str, reason: str) -> None:
    made = make(exposed(route=found))
    assert plans.condition(made, "Exposed") == (status, reason)
    assert "infra/public" in str(made.status)
    assert plans.verdict(made) == ("Ready", "Serving"), "inside the cluster it is served"


def test_a_cluster_without_the_gateway_api_is_told_so_and_serves() -> None:
    made = make(exposed(has_gateways=False))
    assert plans.condition(made, "Exposed") == ("False", "GatewayApiMissing")
    assert "HTTPRoute" not in plans.applied(made)
    assert plans.verdict(made) == ("Ready", "Serving")
    assert made.requeue_after == exposure.LOOK_SECONDS


@pytest.mark.parametrize(
    ("expose", "url"),
    [
        (EXPOSE, "http://tumours.example.org"),
        ({"gateway": GATEWAY, "hostnames": ["*.example.org", "b.example.org"]}, "http://b.example.org"),
        ({"gateway": GATEWAY, "hostnames": ["*.example.org"]}, "http://tumours.lab.svc:8080"),
        ({"gateway": GATEWAY}, "http://tumours.lab.svc:8080"),
        ({"from": [{"podSelector": {}}]}, "http://tumours.lab.svc:8080"),
    ],
)
def test_the_address_is_the_one_outside_if_there_is_one(expose: dict[str, Any], url: str) -> None:
    assert (make(exposed(expose)).status or {})["url"] == url


def test_a_route_that_is_no_longer_wanted_goes() -> None:
    made = make(exposed({"from": [{"podSelector": {}}]}, route=route(ACCEPTED, RESOLVED)))
    assert plans.deleted(made) == ["HTTPRoute tumours"]
    assert "Exposed" not in str(made.status)


def test_what_was_never_exposed_has_no_route() -> None:
    made = make(observe(told=stable(OLD), revisions=revisions(OLD)))
    assert "HTTPRoute" not in plans.applied(made)
