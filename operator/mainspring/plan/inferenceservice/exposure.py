"""The way in from outside: an HTTPRoute of the Gateway API to the Service of a service.

Mainspring's own servers split the traffic of a rollout themselves, so the route knows one Service. Pods with an image of
the user's own cannot: while their successor is rolled out the route has two, with weights (`build_route`).
"""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.inferenceservice import Gateway
from mainspring.plan.common import objects, pods
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.inferenceservice import builders
from mainspring.plan.inferenceservice.observed import Observed

CONDITION = "Exposed"
GATEWAY_GROUP = "gateway.networking.k8s.io"
LOOK_SECONDS = 30.0  # for an API that may be installed meanwhile


def children(observed: Observed, weight: int = 0) -> tuple[Manifest, ...]:
    """`weight`: percent for the candidate's Service, where the stable pods cannot split."""
    return (build_route(observed, weight),) if splits(observed) else ()


def surplus(observed: Observed) -> tuple[tuple[Ref, str], ...]:
    """What is there and no longer wanted."""
    if observed.route is None or is_wanted(observed):
        return ()
    return ((objects.ref(observed.route), objects.uid(observed.route)),)


def facts(observed: Observed) -> dict[str, Any]:
    """`status.url`, where a name of the outside world leads to it. Whether the listener has TLS only the Gateway knows."""
    names = observed.spec.expose.hostnames if is_wanted(observed) and observed.spec.expose else None
    found = next((name for name in names or () if not name.startswith("*")), None)
    return {"url": f"http://{found}"} if found else {}


def look_again(observed: Observed) -> float | None:
    """After so many seconds, if at all."""
    return LOOK_SECONDS if is_wanted(observed) and not observed.has_gateways else None


def conditions(observed: Observed) -> tuple[Condition, ...]:
    """Whether the Gateway takes the route."""
    gateway = _gateway(observed)
    if gateway is None:
        return ()
    if not observed.has_gateways:
        text = f"this cluster has no HTTPRoute ({GATEWAY_GROUP}/v1): install the Gateway API and a Gateway controller, or remove spec.expose.gateway; inside the cluster it is served"
        return (Condition(CONDITION, "False", "GatewayApiMissing", text),)
    return (_of_route(observed.route, _shown(gateway, objects.namespace(observed.object))),)


def splits(observed: Observed) -> bool:
    """The route can give a share of the requests to another Service."""
    return is_wanted(observed) and observed.has_gateways


def is_wanted(observed: Observed) -> bool:
    return _gateway(observed) is not None


def build_route(observed: Observed, weight: int = 0) -> Manifest:
    """`weight`: percent of requests, 0 to 100, for the Service of the candidate."""
    gateway, name = _gateway(observed), objects.name(observed.object)
    assert gateway is not None
    backends = [_backend(name, 100 - weight)]
    if weight:
        backends.append(_backend(builders.candidate_name(name), weight))
    expose = observed.spec.expose
    spec = {
        "parentRefs": [_parent(gateway, objects.namespace(observed.object))],
        # An empty list removes what was there.
        "hostnames": (expose.hostnames if expose else None) or [],
        "rules": [{"backendRefs": backends}],
    }
    labels = builders.service_labels(observed)
    return pods.child(observed.object, f"{GATEWAY_GROUP}/v1", "HTTPRoute", name, labels, spec=spec)


def _gateway(observed: Observed) -> Gateway | None:
    return observed.spec.expose.gateway if observed.spec.expose else None


def _parent(gateway: Gateway, here: str) -> Manifest:
    parent = {
        "group": GATEWAY_GROUP,
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace or here,
    }
    return {**parent, "sectionName": gateway.section_name} if gateway.section_name else parent


def _backend(service: str, weight: int) -> Manifest:
    return {"group": "", "kind": "Service", "name": service, "port": builders.PORT, "weight": weight}


def _shown(gateway: Gateway, here: str) -> str:
    return f"Gateway {gateway.namespace or here}/{gateway.name}"


def _of_route(route: Object | None, gateway: str) -> Condition:
    """What the controller of the Gateway says; nothing is said as long as there is no such Gateway."""
    parents = objects.status(route or {}).get("parents") or ()
    for parent in parents:
        told = {item["type"]: item for item in parent.get("conditions") or ()}
        for kind in ("Accepted", "ResolvedRefs"):
            item = told.get(kind, {"status": "Unknown", "reason": "Pending"})
            if item["status"] != "True":
                message = str(item.get("message") or item["reason"])
                return Condition(CONDITION, "False", item["reason"], f"{gateway} ({kind}): {message}")
    if not parents:
        text = (
            f"no controller has taken up the HTTPRoute yet: see whether {gateway} exists and its class has a controller"
        )
        return Condition(CONDITION, "False", "Pending", text)
    return Condition(CONDITION, "True", "Accepted", f"{gateway} leads here")
