"""What the API server makes of the built-in kinds that we write: defaults, canonical quantities, validation of names.

Enough of it to show whether a plan takes the server's defaults for a difference.
"""

from __future__ import annotations

import re
from typing import Any

from mainspring.kube import errors
from mainspring.plan.common import quantity

LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def admit(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it is stored. Raises Refused for an illegal name or label."""
    _check_metadata(obj)
    spec = obj.get("spec")
    if not spec:
        return obj
    filled = {"Service": _service, "Deployment": _deployment, "Job": _job, "NetworkPolicy": _policy}.get(obj["kind"])
    return {**obj, "spec": filled(obj, spec) if filled else spec}


def _check_metadata(obj: dict[str, Any]) -> None:
    name = obj["metadata"]["name"]
    pattern, limit = (DNS_1035, 63) if obj["kind"] == "Service" else (DNS_1123, 63 if obj["kind"] == "Job" else 253)
    if not pattern.fullmatch(name) or len(name) > limit:
        raise errors.Refused(f"{obj['kind']} {name!r}: metadata.name: Invalid value", 422, "Invalid")
    template = (obj.get("spec") or {}).get("template") or {}
    for labels in (obj["metadata"].get("labels") or {}, (template.get("metadata") or {}).get("labels") or {}):
        for key, value in labels.items():
            if len(value) > 63 or not LABEL_VALUE.fullmatch(value):
                raise errors.Refused(f"label {key}: {value!r}: Invalid value", 422, "Invalid")


def _service(obj: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"clusterIP": "10.0.0.1", "type": "ClusterIP", "sessionAffinity": "None", **spec}


def _policy(obj: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Empty lists of peers are not stored."""
    rules = [{k: v for k, v in rule.items() if v} for rule in spec.get("ingress", ())]
    return {**spec, "ingress": rules}


def _deployment(obj: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"replicas": 1, "minReadySeconds": 0, **spec, "template": _template(spec["template"])}


def _job(obj: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    uid = obj["metadata"]["uid"]
    defaults = {"completions": 1, "parallelism": 1, "suspend": False, "completionMode": "NonIndexed"}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    return {**defaults, "selector": selector, **spec, "template": _template(spec["template"])}


def _template(template: dict[str, Any]) -> dict[str, Any]:
    pod = template["spec"]
    filled = {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler", **pod}
    for key in ("containers", "initContainers"):
        if key in pod:
            filled[key] = [_container(container) for container in pod[key]]
    return {**template, "spec": filled}


def _container(container: dict[str, Any]) -> dict[str, Any]:
    filled = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", **container}
    for key, wanted in (container.get("resources") or {}).items():
        filled["resources"] = {**filled["resources"], key: {k: _canonical(v) for k, v in wanted.items()}}
    filled["ports"] = [{"protocol": "TCP", **port} for port in container.get("ports", ())]
    return filled


def _canonical(value: Any) -> str:
    """`1000m` is stored as `1`."""
    number = quantity.parse(value)
    return str(int(number)) if number is not None and number == int(number) and str(value).endswith("m") else str(value)
