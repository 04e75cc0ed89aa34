"""What the operator may do in the cluster: the one list from which the chart's RBAC is generated.

A verb stands here because a controller uses it; nothing else is granted. Secrets appear by one name only.
"""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.api.v1alpha1 import KINDS
from mainspring.api.v1alpha1.common import GROUP
from mainspring.plan.common.pods import ALERTS_SECRET, ARTIFACTS_SECRET, FEEDBACK_SECRET

READ = ("get", "list", "watch")
WRITE = ("create", "patch", "delete")


@dataclass(frozen=True)
class Access:
    """One RBAC rule. `scope`: Watched = in the namespaces that are watched; Own = in the operator's namespace."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    scope: str = "Watched"


def rules(store_root_secret: str = "mainspring-store") -> tuple[Access, ...]:
    """All rules, in the order in which the chart lists them."""
    ours = tuple(kind.plural for kind in KINDS)
    return (
        Access(GROUP, ours, (*READ, "patch")),
        Access(GROUP, ("datasetversions", "modelversions"), ("create", "delete")),
        Access(GROUP, ("trainingruns",), ("create",)),
        Access(GROUP, tuple(f"{plural}/status" for plural in ours), ("get", "patch")),
        Access("", ("configmaps", "services", "serviceaccounts"), (*READ, *WRITE)),
        Access("", ("pods",), (*READ, "patch")),
        Access("", ("events",), ("get", "list", "create", "patch")),
        Access("apps", ("deployments",), (*READ, *WRITE)),
        Access("batch", ("jobs",), (*READ, *WRITE)),
        Access("autoscaling", ("horizontalpodautoscalers",), (*READ, *WRITE)),
        Access("gateway.networking.k8s.io", ("httproutes",), (*READ, *WRITE)),
        Access("policy", ("poddisruptionbudgets",), (*READ, *WRITE)),
        Access("networking.k8s.io", ("networkpolicies",), (*READ, *WRITE)),
        Access("rbac.authorization.k8s.io", ("roles", "rolebindings"), (*READ, *WRITE)),
        Access("", ("secrets",), ("get", "create", "patch", "delete"), names=(ARTIFACTS_SECRET, FEEDBACK_SECRET)),
        Access("", ("secrets",), ("get",), names=(ALERTS_SECRET,)),
        Access("", ("secrets",), ("get", "create", "patch"), names=(store_root_secret,), scope="Own"),
        Access("coordination.k8s.io", ("leases",), ("get", "create", "update", "patch"), scope="Own"),
    )
