"""A service is reached from outside by a name, through a Gateway whose controller is not ours."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from mainspring.plan.common import objects
from tests import cluster
from tests.cluster import gateway as public
from tests.e2e import artifacts, manifests
from tests.e2e.space import STEP_SECONDS, Space

HOST = "flowers.example.org"
SECONDS = 10.0


@pytest.fixture(scope="session")
def gateway() -> str:
    """Where it listens: host and port."""
    cluster.add("gateway")
    return cluster.gateway_address()


def test_a_route_leads_from_the_gateway_to_the_model(space: Space, flower_model: Path, gateway: str) -> None:
    expose = {"gateway": {"name": public.NAME, "namespace": public.NAMESPACE}, "hostnames": [HOST]}
    artifacts.serve_imported(space, flower_model, expose=expose)
    # The operator finds an API that came after it within half a minute.
    space.eventually(lambda: _is_exposed(space), "the route to be accepted", STEP_SECONDS)
    assert space.get("InferenceService", "flowers")["status"]["url"] == f"http://{HOST}"
    with httpx.Client(base_url=f"http://{gateway}", headers={"host": HOST}, timeout=SECONDS) as outside:
        space.eventually(lambda: _is_ready(outside), "Envoy to know the route")
        inputs = manifests.FLOWERS.items()
        tensors = [{"name": n, "datatype": "FP64", "shape": [len(v)], "data": v} for n, v in inputs]
        answer = outside.post("/v2/models/flowers/infer", json={"inputs": tensors})
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"][0]["data"] == manifests.SPECIES
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
