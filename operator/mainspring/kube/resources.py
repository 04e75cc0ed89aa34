"""Where each kind lives in the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.api.v1alpha1 import KINDS
from mainspring.api.v1alpha1.common import GROUP, VERSION
from mainspring.plan.common.objects import Ref


@dataclass(frozen=True)
class Resource:
    group: str
    version: str
    plural: str
    kind: str
    optional: bool = False  # the cluster need not have it, or gets it later

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"

    def complete(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Items of a list come without kind and apiVersion."""
        return {**obj, "kind": self.kind, "apiVersion": self.api_version}


OURS = tuple(Resource(GROUP, VERSION, kind.plural, kind.kind) for kind in KINDS)
CHILDREN = (
    Resource("apps", "v1", "deployments", "Deployment"),
    Resource("batch", "v1", "jobs", "Job"),
    Resource("", "v1", "pods", "Pod"),
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "services", "Service"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", optional=True),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
)
UNWATCHED = (
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "events", "Event"),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
)
BY_KIND = {resource.kind: resource for resource in (*OURS, *CHILDREN, *UNWATCHED)}


def path(target: Ref, subresource: str = "") -> str:
    return BY_KIND[target.kind].path(target.namespace, target.name, subresource)
