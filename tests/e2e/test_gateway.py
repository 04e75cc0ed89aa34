"""A service is reached from outside by a name, through a Gateway whose controller is not ours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.plan.common import objects
from tests import cluster
from tests.cluster import gateway as public
from tests.e2e import artifacts, manifests
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import STEP_SECONDS, Space

HOST = "flowers.example.org"
EXPOSED = {"gateway": {"name": public.NAME, "namespace": public.NAMESPACE}, "hostnames": [HOST]}
SECONDS = 10.0
REQUESTS = 500
WEIGHT = 30
# Envoy draws for each request: 7 standard deviations of the share among so many.
SLACK = 0.15


@pytest.fixture(scope="session")
def gateway() -> str:
    """Where it listens: host and port."""
    cluster.add("gateway")
    return cluster.gateway_address()


def test_a_route_leads_from_the_gateway_to_the_model(space: Space, flower_model: Path, gateway: str) -> None:
    artifacts.serve_imported(space, flower_model, expose=EXPOSED)
    # The operator finds an API that came after it within half a minute.
    space.eventually(lambda: _is_exposed(space), "the route to be accepted", STEP_SECONDS)
    assert space.get("InferenceService", "flowers")["status"]["url"] == f"http://{HOST}"
    with _outside(gateway) as outside:
        space.eventually(lambda: _is_ready(outside), "Envoy to know the route")
        assert _predict(outside)["outputs"][0]["data"] == manifests.SPECIES
        assert outside.get("/v2/health/ready", headers={"host": "other.example.org"}).status_code == 404

        # A listener that does not exist is told; what is inside the cluster goes on.
        space.change("InferenceService", "flowers", expose={"gateway": {"sectionName": "nowhere"}})
        refusal = f"Gateway {public.NAMESPACE}/{public.NAME}"
        space.eventually(lambda: not _is_exposed(space) and refusal in _told(space), f"{refusal} to be told")
        space.current("InferenceService", "flowers", "Serving")

        space.change("InferenceService", "flowers", expose=None)
        space.eventually(lambda: not space.exists("HTTPRoute", "flowers"), "the route is gone")
        space.eventually(lambda: not _is_ready(outside), "Envoy to forget the route")
    space.eventually(
        lambda: ".svc:" in space.get("InferenceService", "flowers")["status"]["url"], "the address inside the cluster"
    )
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES


def test_the_route_has_the_shares_of_servers_that_cannot_split(
    space: Space, flower_model: Path, gateway: str, control_plane: ControlPlane
) -> None:
    """An image that a person names is not known to do what ours does, whatever is in it."""
    runtime = {"image": control_plane.variable("MAINSPRING_RUNTIME_IMAGE")}
    rollout = {"steps": [WEIGHT], "stepDuration": "10m"}
    artifacts.serve_imported(space, flower_model, expose=EXPOSED, runtime=runtime, rollout=rollout)
    with _outside(gateway) as outside:
        space.eventually(lambda: _is_ready(outside), "Envoy to know the route")
        artifacts.import_version(space, flower_model, number=2)
        space.eventually(lambda: space.rollout().get("weight") == WEIGHT, "a share for the candidate", STEP_SECONDS)
        assert space.rollout()["splitBy"] == "Gateway"
        space.eventually(lambda: _predict(outside)["model_version"] == "2", "Envoy to know the share")
        answered = Counter(_predict(outside)["model_version"] for _ in range(REQUESTS))
        assert answered["2"] / REQUESTS == pytest.approx(WEIGHT / 100, abs=SLACK), answered

        space.annotate("InferenceService", "flowers", promote=space.rollout()["revision"])
        space.eventually(lambda: bool(_predict(outside)) and not space.rollout(), "the end of the rollout")
        space.current("InferenceService", "flowers", "Serving")
        space.eventually(lambda: not _others(outside, "2"), "all requests to go to version 2")
    assert space.get("InferenceService", "flowers")["status"]["stableVersion"] == "flowers-v2"


def _outside(gateway: str) -> httpx.Client:
    return httpx.Client(base_url=f"http://{gateway}", headers={"host": HOST}, timeout=SECONDS)


def _predict(outside: httpx.Client) -> dict[str, Any]:
    """No request may fail."""
    inputs = manifests.FLOWERS.items()
    tensors = [{"name": n, "datatype": "FP64", "shape": [len(v)], "data": v} for n, v in inputs]
    answer = outside.post("/v2/models/flowers/infer", json={"inputs": tensors})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _others(outside: httpx.Client, version: str) -> int:
    """How many of a few dozen requests another version answers."""
    return sum(_predict(outside)["model_version"] != version for _ in range(30))


def _told(space: Space) -> str:
    told = objects.condition(space.get("InferenceService", "flowers"), "Exposed") or {}
    return str(told.get("message", ""))


def _is_exposed(space: Space) -> bool:
    return objects.condition_is(space.get("InferenceService", "flowers"), "Exposed")


def _is_ready(outside: httpx.Client) -> bool:
    """Envoy has no listener before its first route."""
    try:
        return outside.get("/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False
