"""The test cluster: a real Kubernetes, wherever the tests run.

In this order: the cluster of KUBECONFIG, if the user set it; kind, where a Docker
engine answers; else Kubernetes from source, as processes of this machine. Test
fixtures call the functions below; people call `python -m tests.cluster`.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster import addons, backend, config, delivery, docker, gateway, packages, source, tools
from tests.cluster.backend import Backend
from tests.cluster.config import DEFAULT_NAME, Cluster, Profile
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say

__all__ = [
    "ClusterError",
    "Profile",
    "add",
    "build_programs",
    "down",
    "gateway_address",
    "kubeconfig",
    "load_images",
    "recycle_volumes",
    "up",
    "up_apiserver",
    "up_node",
    "values",
]


def up_node(name: str = DEFAULT_NAME) -> Path:
    """Have a cluster that runs pods; returns its kubeconfig."""
    return up(name, Profile.NODE)


def up_apiserver(name: str = DEFAULT_NAME) -> Path:
    """Have at least an API server, in seconds; returns its kubeconfig."""
    return up(name, Profile.APISERVER)


def up(name: str, profile: Profile) -> Path:
    """Have a cluster; returns its kubeconfig."""
    cluster = Cluster(name, profile)
    match backend.choose():
        case Backend.SOURCE:
            source.up(cluster)
        case Backend.KIND:
            docker.kind_up(cluster)
        case Backend.EXISTING:
            say(f"using the cluster of KUBECONFIG={backend.existing_kubeconfig()}")
    return kubeconfig(name, profile)


def down(name: str = DEFAULT_NAME, profile: Profile = Profile.NODE) -> None:
    """End a cluster that we started; the user's own stays."""
    cluster = Cluster(name, profile)
    source.down(cluster)
    if backend.choose() is Backend.KIND:
        docker.kind_down(cluster)


def kubeconfig(name: str = DEFAULT_NAME, profile: Profile = Profile.NODE) -> Path:
    """The path of a cluster's kubeconfig."""
    cluster = Cluster(name, profile)
    match backend.choose():
        case Backend.KIND:
            return docker.kind_kubeconfig(cluster)
        case Backend.EXISTING:
            return backend.existing_kubeconfig() or cluster.kubeconfig
        case Backend.SOURCE:
            return cluster.kubeconfig


def add(addon: str, name: str = DEFAULT_NAME) -> None:
    """Have a part of a node that most tests do without, such as metrics-server."""
    addons.ensure(Cluster(name, Profile.NODE), addon)


def gateway_address(name: str = DEFAULT_NAME) -> str:
    """Where the added Gateway listens: host and port."""
    ports = config.load_ports(Cluster(name, Profile.NODE))
    if ports is None:
        raise ClusterError(f"the node {name} does not run; start it first")
    return gateway.address(ports)


def build_programs() -> None:
    """Have every program that tests start: a build takes minutes, and a test has a time limit."""
    packages.ensure(packages.PROMETHEUS | packages.BROWSER)
    from_source = backend.choose() is Backend.SOURCE
    for name, tool in tools.TOOLS.items():
        if from_source or (isinstance(tool, tools.Published) and name not in tools.OF_NODE):
            tools.tool(name)


def load_images(name: str = DEFAULT_NAME) -> Path:
    """Build the project's images and load them; returns the Helm values that name them."""
    return delivery.deliver(Cluster(name, Profile.NODE))


def values(name: str = DEFAULT_NAME) -> Path:
    """The path of the Helm values with the images that were loaded last."""
    return Cluster(name, Profile.NODE).values


def recycle_volumes(name: str = DEFAULT_NAME) -> int:
    """Offer the volumes of deleted claims again, where we made them; returns how many."""
    return source.recycle_volumes(Cluster(name, Profile.NODE)) if backend.choose() is Backend.SOURCE else 0
