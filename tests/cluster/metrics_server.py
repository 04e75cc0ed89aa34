"""metrics-server as a process of this machine: what `kubectl top` and a HorizontalPodAutoscaler ask.

The API server finds it as it finds any: an APIService names a Service, whose endpoint is the bridge's address.
"""

from __future__ import annotations

from typing import Any

from tests.cluster import tools, wait
from tests.cluster.config import BRIDGE_ADDRESS, Cluster, Ports
from tests.cluster.supervise import Component

NAME = "metrics-server"
API = "/apis/metrics.k8s.io/v1beta1"
SPACE = "/api/v1/namespaces/kube-system"


def component(cluster: Cluster, ports: Ports, ready: wait.Check) -> Component:
    """The process."""
    kubeconfig = cluster.kubeconfig
    argv = (
        str(tools.tool(NAME)),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--kubelet-certificate-authority={cluster.pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        # The shortest that it allows: an autoscaler sees a load one look earlier.
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
        f"--bind-address={BRIDGE_ADDRESS}",
        f"--secure-port={ports.metrics_server}",
        f"--cert-dir={cluster.pki}/{NAME}",
    )
    return Component(NAME, argv, ready, (kubeconfig,))


def manifests(ports: Ports) -> list[tuple[str, dict[str, Any]]]:
    """What tells the API server of it: path and object."""
    labels = {"kubernetes.io/service-name": NAME}
    port = {"name": "https", "port": 443, "targetPort": ports.metrics_server, "protocol": "TCP"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"ports": [port]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": NAME, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": ports.metrics_server, "protocol": "TCP"}],
        "endpoints": [{"addresses": [BRIDGE_ADDRESS], "conditions": {"ready": True}}],
    }
    registration = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": NAME, "namespace": "kube-system"},
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            # Its certificate is its own, and nothing secret is asked of it.
            "insecureSkipTLSVerify": True,
        },
    }
    slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    return [
        (f"{SPACE}/services/{NAME}", service),
        (f"{slices}/{NAME}", endpoints),
        ("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io", registration),
    ]
