"""What the benchmarks of the operator put into the cluster: a Model with a champion, and services that follow it."""

from __future__ import annotations

from datetime import UTC, datetime

from mainspring.api.v1alpha1.common import (
    ANNOTATION_GATES,
    ANNOTATION_PROMOTED_AT,
    ANNOTATION_VERIFIED,
    API_VERSION,
)
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.plan.common import gates, objects
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.inferenceservice import plan
from mainspring.plan.inferenceservice.observed import Observed
from tests.apiserver.server import Server

MODEL = "tumours"
CHAMPION = f"{MODEL}-v1"
DIGEST = "sha256:" + 64 * "a"
# What the operator makes for each service.
CHILDREN = ("ServiceAccount", "Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment")
PROMOTED_AT = "2026-01-31T06:00:00Z"


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def model(space: str) -> Manifest:
    return _manifest("Model", space, MODEL, {})


def champion(space: str) -> Manifest:
    """Verified, judged and promoted, as its annotations say: there is nothing left to do for it."""
    found = _manifest(
        "ModelVersion",
        space,
        CHAMPION,
        {"model": MODEL, "number": 1, "artifact": {"uri": f"s3://example/{space}/models/{MODEL}", "digest": DIGEST}},
    )
    found["metadata"]["annotations"] = {
        ANNOTATION_VERIFIED: DIGEST,
        ANNOTATION_GATES: gates.Decision(gates.hash_of([]), "", passed=True).to_json(),
        ANNOTATION_PROMOTED_AT: PROMOTED_AT,
    }
    return found


def service(space: str, name: str) -> Manifest:
    return _manifest("InferenceService", space, name, {"model": {"name": MODEL}, "replicas": 1})


def missing_champion(server: Server, space: str) -> str | None:
    """None once the operator took the champion over."""
    told = objects.status(server.get(model(space))).get("champion")
    return None if told == CHAMPION else f"{space}: the champion is {told}"


def named(made: Object) -> Manifest:
    """What an apply of its status has to say beside the status; refused when the object has changed since."""
    metadata = {key: made["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    return {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": metadata}


def first_plan(made: Object, settings: Settings) -> Plan:
    """What the operator does for a service that was just made: five children and the first status."""
    space = objects.namespace(made)
    observed = Observed(
        object=made,
        spec=InferenceServiceSpec.model_validate(objects.spec(made)),
        settings=settings,
        model={**model(space), "status": {"champion": CHAMPION}},
        version=champion(space),
    )
    return plan.make_plan(observed, datetime.now(UTC))


def _manifest(kind: str, space: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": space}, "spec": spec}
