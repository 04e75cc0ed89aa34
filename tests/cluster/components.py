"""The components of a cluster: how each is called, and when it counts as ready."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.cluster import api, command, tools
from tests.cluster.config import (
    API_SERVICE_ADDRESS,
    BRIDGE_ADDRESS,
    LOOPBACK,
    POD_RANGE,
    SERVICE_RANGE,
    Cluster,
    Ports,
    Profile,
)
from tests.cluster.supervise import Component

ETCD_QUOTA_BYTES = 4 * 1024**3
FRONT_PROXY_FLAGS = (
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
)


def server(cluster: Cluster, ports: Ports) -> api.Endpoint:
    """The API server, as the administrator."""
    return api.Endpoint(LOOPBACK, ports.apiserver, cluster.pki)


def etcd(cluster: Cluster, ports: Ports) -> Component:
    """The store; a test cluster need not survive a power cut, so it does not wait for the disk."""
    client, peer = f"http://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.etcd_peer}"
    argv = (
        str(tools.tool("etcd")),
        f"--name={cluster.name}",
        f"--data-dir={cluster.state}/etcd",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={ETCD_QUOTA_BYTES}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={cluster.name}={peer}",
        "--log-level=warn",
    )
    endpoint = api.Endpoint(LOOPBACK, ports.etcd, tls=False)
    return Component("etcd", argv, partial(api.unhealthy, endpoint, "/health"))


def apiserver(cluster: Cluster, ports: Ports) -> Component:
    """The API server; with nodes it also serves pods, without it listens on the loopback address only."""
    profile = _apiserver_for_node(cluster) if cluster.profile is Profile.NODE else _apiserver_alone()
    argv = (
        str(tools.tool("kube-apiserver")),
        f"--etcd-servers=http://{LOOPBACK}:{ports.etcd}",
        f"--secure-port={ports.apiserver}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged",
        *_apiserver_keys(cluster.pki),
        *profile,
    )
    ready = partial(api.unhealthy, server(cluster, ports), "/readyz")
    return Component("kube-apiserver", argv, ready, (cluster.pki / "apiserver.crt",))


def controller_manager(cluster: Cluster, ports: Ports) -> Component:
    """The controllers of Kubernetes itself."""
    pki = cluster.pki
    argv = (
        str(tools.tool("kube-controller-manager")),
        f"--kubeconfig={pki}/controller-manager.kubeconfig",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--cluster-cidr={POD_RANGE}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allocate-node-cidrs=false",
        "--use-service-account-credentials",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.controller_manager}",
        f"--cert-dir={pki}/controller-manager",
    )
    return Component(
        "kube-controller-manager", argv, _healthz(ports.controller_manager), (pki / "controller-manager.kubeconfig",)
    )


def scheduler(cluster: Cluster, ports: Ports) -> Component:
    """The scheduler."""
    kubeconfig = cluster.pki / "scheduler.kubeconfig"
    argv = (
        str(tools.tool("kube-scheduler")),
        f"--kubeconfig={kubeconfig}",
        # Without these two it would look for its own pod's service account.
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.scheduler}",
        f"--cert-dir={cluster.pki}/scheduler",
    )
    return Component("kube-scheduler", argv, _healthz(ports.scheduler), (kubeconfig,))


def containerd(cluster: Cluster) -> Component:
    """The container runtime."""
    file = cluster.state / "containerd.toml"
    argv = (command.find("containerd") or "containerd", f"--config={file}")
    return Component("containerd", argv, partial(_containerd_missing, cluster), (file,))


def kubelet(cluster: Cluster, ports: Ports) -> Component:
    """The kubelet; ready when the node is."""
    file, kubeconfig = cluster.state / "kubelet.yaml", cluster.pki / "kubelet.kubeconfig"
    argv = (
        str(tools.tool("kubelet")),
        f"--config={file}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={cluster.name}",
        f"--node-ip={BRIDGE_ADDRESS}",
        f"--root-dir={cluster.state}/kubelet",
        f"--cert-dir={cluster.pki}/kubelet",
    )
    return Component("kubelet", argv, partial(_node_missing, cluster, ports), (file, kubeconfig))


def kube_proxy(cluster: Cluster, ports: Ports) -> Component:
    """Services, as iptables rules of this machine."""
    file = cluster.state / "kube-proxy.yaml"
    argv = (str(tools.tool("kube-proxy")), f"--config={file}")
    ready = partial(api.unhealthy, api.Endpoint(LOOPBACK, ports.proxy_health, tls=False), "/healthz")
    return Component("kube-proxy", argv, ready, (file, cluster.pki / "proxy.kubeconfig"))


def coredns(cluster: Cluster, ports: Ports) -> Component:
    """Names inside the cluster; a process of the machine, at the bridge's address."""
    file = cluster.state / "Corefile"
    argv = (str(tools.tool("coredns")), f"-conf={file}")
    ready = partial(api.unhealthy, api.Endpoint(LOOPBACK, ports.dns_ready, tls=False), "/ready")
    return Component("coredns", argv, ready, (file, cluster.kubeconfig))


def ctr(cluster: Cluster, *arguments: str) -> list[str]:
    """A call of containerd's own client on the images and containers of Kubernetes."""
    return ["ctr", f"--address={cluster.containerd_socket}", "--namespace=k8s.io", *arguments]


def _apiserver_keys(pki: Path) -> tuple[str, ...]:
    return (
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
    )


def _apiserver_for_node(cluster: Cluster) -> tuple[str, ...]:
    pki = cluster.pki
    return (
        # Both the loopback address and the bridge's, which pods reach it by.
        "--bind-address=0.0.0.0",
        f"--advertise-address={BRIDGE_ADDRESS}",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        # For API servers that run as pods, such as metrics-server.
        f"--requestheader-client-ca-file={pki}/ca.crt",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        *FRONT_PROXY_FLAGS,
    )


def _apiserver_alone() -> tuple[str, ...]:
    return (
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={API_SERVICE_ADDRESS}",
        "--endpoint-reconciler-type=none",
        # Nobody makes a namespace's default service account, so pods could not be created.
        "--disable-admission-plugins=ServiceAccount",
    )


def _healthz(port: int) -> partial[str | None]:
    return partial(api.unhealthy, api.Endpoint(LOOPBACK, port), "/healthz")


def _containerd_missing(cluster: Cluster) -> str | None:
    answers = command.succeeds(ctr(cluster, "version"), timeout=10)
    return None if answers else f"{cluster.containerd_socket} does not answer"


def _node_missing(cluster: Cluster, ports: Ports) -> str | None:
    # The node object may be Ready from before; the kubelet's own page is not.
    sick = api.unhealthy(api.Endpoint(LOOPBACK, ports.kubelet_health, tls=False), "/healthz")
    if sick:
        return sick
    try:
        return _not_ready(cluster, ports) or _unknown_pods(cluster, ports)
    except (api.ApiError, api.Unreachable) as error:
        return str(error)


def _not_ready(cluster: Cluster, ports: Ports) -> str | None:
    node = api.get(server(cluster, ports), f"/api/v1/nodes/{cluster.name}")
    ready = [condition for condition in node["status"].get("conditions", []) if condition["type"] == "Ready"]
    if ready and ready[0]["status"] == "True":
        return None
    return ready[0]["message"] if ready else "the node has not reported yet"


def _unknown_pods(cluster: Cluster, ports: Ports) -> str | None:
    """A kubelet that has just started does not know its pods yet, and refuses logs and exec."""
    node = f"/api/v1/nodes/{cluster.name}/proxy/pods"
    known = {pod["metadata"]["uid"] for pod in api.get(server(cluster, ports), node)["items"] or ()}
    bound = api.get(server(cluster, ports), f"/api/v1/pods?fieldSelector=spec.nodeName%3D{cluster.name}")["items"]
    missing = [pod["metadata"]["name"] for pod in bound if pod["metadata"]["uid"] not in known]
    return f"the kubelet does not know its pods yet: {', '.join(missing)}" if missing else None
