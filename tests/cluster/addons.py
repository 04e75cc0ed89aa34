"""Parts of a cluster that only some journeys need: started when they are asked for, ended with the node.

They are processes of this machine like the rest of the node, and reach the API server as the administrator. Where the
cluster is not ours to extend (kind, the user's own) it has to have them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.cluster import api, components, config, gateway, lock, metrics_server, supervise
from tests.cluster.backend import Backend, choose
from tests.cluster.config import Cluster, Ports
from tests.cluster.errors import ClusterError

METRICS_SERVER = "metrics-server"
GATEWAY = "gateway"
NAMES = (METRICS_SERVER, GATEWAY)
COMPONENTS = {METRICS_SERVER: "metrics-server", GATEWAY: "contour"}  # whose record shows that it was added
HINTS = {
    METRICS_SERVER: "install metrics-server; `kubectl top nodes` shows when it works",
    GATEWAY: "its journey needs an address that only a node from source has",
}


def ensure(cluster: Cluster, name: str) -> None:
    """Have it running and ready."""
    if choose() is not Backend.SOURCE:
        raise ClusterError(f"{name} is not started in a cluster that is not from source: {HINTS[name]}")
    ports = config.load_ports(cluster)
    if ports is None or supervise.running(cluster, "kube-apiserver") is None:
        raise ClusterError(f"the node {cluster.name} does not run; start it first")
    with lock.held(cluster.lock, f"adding {name} to {cluster.name}"):
        ADDONS[name](cluster, ports)


def restore(cluster: Cluster, ports: Ports) -> None:
    """What was added once comes back with the node: an API that is registered and does not answer keeps every
    namespace from being deleted."""
    known = supervise.recorded(cluster)
    for name in NAMES:
        if COMPONENTS[name] in known:
            ADDONS[name](cluster, ports)


def _metrics_server(cluster: Cluster, ports: Ports) -> None:
    server = components.server(cluster, ports)
    for path, manifest in metrics_server.manifests(ports):
        api.apply(server, path, manifest)
    supervise.ensure(cluster, [metrics_server.component(cluster, ports, partial(_no_metrics, server))])


def _no_metrics(server: api.Endpoint) -> str | None:
    """It answers once it has read every kubelet twice."""
    try:
        found: list[Any] = api.get(server, f"{metrics_server.API}/nodes")["items"]
    except (api.ApiError, api.Unreachable) as error:
        return str(error)
    return None if found else "no node was measured yet"


def _gateway(cluster: Cluster, ports: Ports) -> None:
    server = components.server(cluster, ports)
    gateway.install_definitions(server)
    for path, manifest in gateway.manifests(ports):
        api.apply(server, path, manifest)
    supervise.ensure(cluster, [gateway.contour(cluster, ports)])
    supervise.ensure(cluster, [gateway.envoy(cluster, ports, server)])


ADDONS = {METRICS_SERVER: _metrics_server, GATEWAY: _gateway}
