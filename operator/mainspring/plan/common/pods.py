"""Builders for pods that pass Pod Security `restricted`; what a user may set comes from the typed `podTemplate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.common import (
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_PART_OF,
    PodTemplate,
    Resources,
)
from mainspring.plan.common.objects import Manifest, Object, namespace, owner_reference
from mainspring.plan.common.settings import Settings

ARTIFACTS_SECRET = "mainspring-artifacts"
FEEDBACK_SECRET = "mainspring-feedback"
FEEDBACK_SECRET_KEY = "key"
ALERTS_SECRET = "mainspring-alerts"  # of users: addresses of webhooks, by key
CA_CONFIG_MAP = "mainspring-ca"
CA_DIR = "/etc/mainspring/ca"
TOKEN_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
USER_ID = 65532
CONTAINER = "main"

POD_SECURITY: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def standard_labels(component: str, instance: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Labels of every child. `instance` is the child's own owner, never the label of a GitOps tool's release."""
    return {
        LABEL_NAME: component,
        LABEL_INSTANCE: instance,
        LABEL_COMPONENT: component,
        LABEL_PART_OF: "mainspring",
        LABEL_MANAGED_BY: "mainspring",
        **extra,
    }


def child(owner: Object, api_version: str, kind: str, name: str, labels: Mapping[str, str], **body: Any) -> Manifest:
    """A manifest that `owner` controls."""
    metadata = {
        "name": name,
        "namespace": namespace(owner),
        "labels": dict(labels),
        "ownerReferences": [owner_reference(owner)],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def build_service_account(owner: Object, name: str, labels: Mapping[str, str], settings: Settings) -> Manifest:
    manifest = child(owner, "v1", "ServiceAccount", name, labels, automountServiceAccountToken=False)
    if settings.service_account_annotations:
        manifest["metadata"]["annotations"] = dict(settings.service_account_annotations)
    return manifest


def build_container(
    image: str, settings: Settings, *, name: str = CONTAINER, args: list[str] | None = None, **body: Any
) -> Manifest:
    """A container with our security context and a writable /work and /tmp; `body` holds further fields."""
    mounts = [{"name": "work", "mountPath": contract.WORK_DIR}, {"name": "tmp", "mountPath": "/tmp"}]
    container: Manifest = {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "securityContext": CONTAINER_SECURITY,
        **body,
        "volumeMounts": [*mounts, *body.get("volumeMounts", ())],
    }
    if args is not None:
        container["args"] = args
    return container


def common_env(settings: Settings) -> list[Manifest]:
    """Environment of our own containers: proxies, the CA bundle, where to write."""
    env = [{"name": key, "value": value} for key, value in sorted(settings.pod_env.items())]
    if settings.ca_bundle:
        env += [{"name": key, "value": f"{CA_DIR}/ca.crt"} for key in ("SSL_CERT_FILE", "AWS_CA_BUNDLE")]
    return [*env, {"name": "HOME", "value": contract.WORK_DIR}]


def artifacts_env_from(settings: Settings, secret: str = ARTIFACTS_SECRET) -> list[Manifest]:
    """Credentials of the store. With a store of the user's own they may come from a workload identity instead."""
    optional = secret == ARTIFACTS_SECRET and not settings.embedded_store
    return [{"secretRef": {"name": secret, "optional": optional}}]


def secret_env(name: str, secret: str, key: str, *, optional: bool = False) -> Manifest:
    """A variable with the value of a key of a Secret. Unless it is optional, the container waits for it, and says so."""
    reference: Manifest = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def ca_mounts(settings: Settings) -> list[Manifest]:
    return [{"name": "ca", "mountPath": CA_DIR, "readOnly": True}] if settings.ca_bundle else []


def build_pod_spec(
    settings: Settings,
    containers: list[Manifest],
    template: PodTemplate | None,
    service_account: str,
    volumes: list[Manifest],
    **body: Any,
) -> Manifest:
    """The pod spec: ours, with the user's allowed settings merged in."""
    own = [{"name": "work", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}, *volumes]
    if settings.ca_bundle:
        own.append({"name": "ca", "configMap": {"name": CA_CONFIG_MAP}})
    spec: Manifest = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        "containers": containers,
        "volumes": own,
        **body,
    }
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    return _merge_template(spec, template.to_dict() if template else {})


def _merge_template(spec: Manifest, template: Mapping[str, Any]) -> Manifest:
    merged = dict(spec)
    for key in (
        "nodeSelector",
        "tolerations",
        "affinity",
        "topologySpreadConstraints",
        "priorityClassName",
        "serviceAccountName",
    ):
        if key in template:
            merged[key] = template[key]
    for key in ("volumes", "imagePullSecrets"):
        if key in template:
            merged[key] = [*merged.get(key, ()), *template[key]]
    for field in ("initContainers", "containers"):
        if field in merged:
            merged[field] = [_merge_container(container, template) for container in merged[field]]
    return merged


def _merge_container(container: Manifest, template: Mapping[str, Any]) -> Manifest:
    if container["name"] != CONTAINER:
        return container
    keys = [key for key in ("env", "envFrom", "volumeMounts") if key in template]
    return {**container, **{key: [*container.get(key, ()), *template[key]] for key in keys}}


def main_container(spec: Object) -> Object:
    """Of a pod spec: what does the work. It is an init container when something of ours comes after it."""
    every = [*spec.get("initContainers", ()), *spec["containers"]]
    found: Object = next(container for container in every if container["name"] == CONTAINER)
    return found


def pod_metadata(
    labels: Mapping[str, str], template: PodTemplate | None, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Labels and annotations of a pod template; ours win over the user's."""
    given = template.to_dict() if template else {}
    metadata: Manifest = {"labels": {**given.get("labels", {}), **labels}}
    if notes := {**given.get("annotations", {}), **(annotations or {})}:
        metadata["annotations"] = notes
    return metadata


def resources_or(resources: Resources | None, cpu: str, memory: str) -> Manifest:
    """The user's resources, or requests that let the pod be scheduled on a small node."""
    return resources.to_dict() if resources else {"requests": {"cpu": cpu, "memory": memory}}
