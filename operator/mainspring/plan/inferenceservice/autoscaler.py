"""The HorizontalPodAutoscaler of a service that scales by CPU or Memory.

It targets the Deployment of the stable revision, never the service, and turns to the next one with the Service. While a
new revision gets requests the stable one has less to do, but must be able to take all of them back: nothing is scaled
down then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.api.v1alpha1.scaling import OF_RESOURCES, Autoscaling, ScalingMetric
from mainspring.plan.common import objects, pods
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.inferenceservice import builders
from mainspring.plan.inferenceservice.observed import Observed, Revision

RESOURCES = {ScalingMetric.CPU: "cpu", ScalingMetric.MEMORY: "memory"}
NO_METRICS = "FailedGetResourceMetric"
# As Kubernetes has them by default; told, so that a change of theirs changes nothing, and ours are seen.
DOWN_POLICY: Manifest = {"type": "Percent", "value": 100, "periodSeconds": 15}


def is_wanted(observed: Observed) -> bool:
    policy = observed.spec.autoscaling
    return policy is not None and policy.metric in OF_RESOURCES


def children(observed: Observed, stable: Revision | None) -> tuple[Manifest, ...]:
    """There is nothing to scale before something serves."""
    policy = observed.spec.autoscaling
    if policy is None or stable is None or not is_wanted(observed):
        return ()
    return (build_autoscaler(observed, policy, stable),)


def surplus(observed: Observed) -> tuple[tuple[Ref, str], ...]:
    """What is there and no longer wanted."""
    found = observed.autoscaler
    if found is None or is_wanted(observed):
        return ()
    return ((objects.ref(found), objects.uid(found)),)


def build_autoscaler(observed: Observed, policy: Autoscaling, stable: Revision) -> Manifest:
    name = objects.name(observed.object)
    target = {"type": "Utilization", "averageUtilization": policy.target}
    delay = objects.parse_duration(policy.behaviour.scale_down_delay)
    down = {
        "stabilizationWindowSeconds": int(delay.total_seconds()),
        "selectPolicy": "Disabled" if _is_rolling(observed, stable) else "Max",
        "policies": [DOWN_POLICY],
    }
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": objects.name(stable.deployment)},
        "minReplicas": policy.min_replicas,
        "maxReplicas": policy.max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": RESOURCES[policy.metric], "target": target}}],
        "behavior": {"scaleDown": down},
    }
    labels = builders.service_labels(observed)
    return pods.child(observed.object, "autoscaling/v2", "HorizontalPodAutoscaler", name, labels, spec=spec)


def _is_rolling(observed: Observed, stable: Revision) -> bool:
    """Another revision has pods, too."""
    return any(other.replicas for other in observed.revisions.values() if other.hash != stable.hash)


def utilization(status: Mapping[str, Any]) -> float | None:
    """In percent of what the pods request, on average over them."""
    for metric in status.get("currentMetrics") or ():
        current = (metric.get("resource") or {}).get("current") or {}
        if "averageUtilization" in current:
            return float(current["averageUtilization"])
    return None


def condition(kind: str, observed: Observed) -> Condition:
    """What the autoscaler says of itself, as a condition of that type."""
    found = observed.autoscaler or {"kind": "HorizontalPodAutoscaler", "metadata": {}}
    for its in ("AbleToScale", "ScalingActive"):
        told = objects.condition(found, its)
        if told is None:
            return Condition(kind, "Unknown", "Pending", "the HorizontalPodAutoscaler has not looked yet")
        if told["status"] != "True":
            return Condition(kind, "False", told["reason"], _explained(told))
    return Condition(kind, "True", "ScalingActive", "the HorizontalPodAutoscaler has figures and scales by them")


def _explained(told: Object) -> str:
    message = str(told.get("message") or told["reason"])
    if told["reason"] != NO_METRICS:
        return message
    return (
        f"{message}; new pods take a minute, and a cluster needs a metrics server (kubectl top pods shows if it works)"
    )
