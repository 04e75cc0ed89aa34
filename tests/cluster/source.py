"""The cluster from source: processes of this machine, no Docker and no registry.

`up` describes what should run and makes it so, however much of it runs already. A
cluster that was there before and cannot be repaired is replaced once: nothing in a
test cluster is worth keeping more than having one.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster import (
    addons,
    cgroups,
    components,
    config,
    lock,
    mounts,
    network,
    packages,
    paths,
    pause_image,
    pki,
    render,
    supervise,
    teardown,
    tools,
    volumes,
)
from tests.cluster.config import LOOPBACK, Cluster, Ports, Profile
from tests.cluster.errors import ClusterError, ComponentFailed
from tests.cluster.progress import say

KUBECONFIGS = ("controller-manager", "scheduler", "proxy", "kubelet")
APISERVER_IDENTITIES = ("apiserver", "admin")


def up(cluster: Cluster) -> None:
    """Have the cluster running and ready."""
    _check(cluster)
    with lock.held(cluster.lock, f"changing {cluster.name} ({cluster.profile})"):
        existed = bool(supervise.recorded(cluster))
        try:
            _converge(cluster)
        except ComponentFailed as error:
            if not existed:
                raise
            say(f"cannot be repaired, replacing it: {error}")
            teardown.remove(cluster)
            _converge(cluster)
    say(f"{cluster.name} ({cluster.profile}) is ready")


def down(cluster: Cluster) -> None:
    """End the cluster; nothing happens when there is none."""
    if not cluster.state.exists():
        return
    if cluster.profile is Profile.NODE:
        packages.root_needed("ending a node", ("mounts", "network"))
    with lock.held(cluster.lock, f"changing {cluster.name} ({cluster.profile})"):
        # Another one may have ended it while we waited.
        if cluster.state.exists():
            teardown.remove(cluster)


def recycle_volumes(cluster: Cluster) -> int:
    """Offer the volumes of deleted claims again; returns how many."""
    ports = config.load_ports(cluster)
    return volumes.recycle(cluster, components.server(cluster, ports)) if ports else 0


def _check(cluster: Cluster) -> None:
    if cluster.profile is Profile.APISERVER:
        packages.ensure(packages.CERTIFICATES)
        return
    packages.root_needed("a node from source", ("containers", "mounts", "network"))
    packages.ensure(packages.NODE)
    for other in _other_nodes(cluster):
        raise ClusterError(
            f"the node {other.name} is running, and a machine can have one only; end it: down --name {other.name}"
        )


def _other_nodes(cluster: Cluster) -> list[Cluster]:
    others = (Cluster(home.name, Profile.NODE) for home in paths.clusters().glob("*") if home.name != cluster.name)
    return [other for other in others if any(supervise.running(other, name) for name in supervise.recorded(other))]


def _converge(cluster: Cluster) -> None:
    for program in ("etcd", "kubernetes", *(("coredns", "pause") if cluster.profile is Profile.NODE else ())):
        tools.tool(program)
    for directory in (cluster.state / "run", cluster.logs):
        directory.mkdir(parents=True, exist_ok=True)
    ports = _ports(cluster)
    _keys(cluster, ports)
    supervise.ensure(cluster, [components.etcd(cluster, ports)])
    supervise.ensure(cluster, [components.apiserver(cluster, ports)])
    if cluster.profile is Profile.NODE:
        _node(cluster, ports)


def _node(cluster: Cluster, ports: Ports) -> None:
    _write_configuration(cluster, ports)
    supervise.ensure(
        cluster,
        [
            components.controller_manager(cluster, ports),
            components.scheduler(cluster, ports),
            components.containerd(cluster),
        ],
    )
    pause_image.ensure(cluster)
    network.ensure()
    cgroups.ensure(cluster.cgroup)
    supervise.ensure(
        cluster,
        [components.kubelet(cluster, ports), components.kube_proxy(cluster, ports), components.coredns(cluster, ports)],
    )
    server = components.server(cluster, ports)
    volumes.ensure(cluster, server)
    volumes.recycle(cluster, server)
    addons.restore(cluster, ports)


def _ports(cluster: Cluster) -> Ports:
    """The ports of last time; others when nothing runs and somebody has taken one of them since."""
    ports = config.load_ports(cluster)
    runs = any(supervise.running(cluster, name) for name in supervise.recorded(cluster))
    if ports is None or (not runs and not all(config.port_is_free(port) for port in ports.all())):
        ports = config.pick_ports(config.port_is_free)
        config.save_ports(cluster, ports)
    return ports


def _keys(cluster: Cluster, ports: Ports) -> None:
    identities = pki.identities(cluster.name)
    if cluster.profile is Profile.APISERVER:
        identities = tuple(identity for identity in identities if identity.name in APISERVER_IDENTITIES)
    pki.ensure(cluster.pki, identities)
    address = f"https://{LOOPBACK}:{ports.apiserver}"
    _write(cluster.kubeconfig, pki.kubeconfig(cluster.pki, "admin", address, cluster.name))
    if cluster.profile is Profile.NODE:
        for name in KUBECONFIGS:
            _write(cluster.pki / f"{name}.kubeconfig", pki.kubeconfig(cluster.pki, name, address, cluster.name))


def _write_configuration(cluster: Cluster, ports: Ports) -> None:
    snapshotter = "overlayfs" if mounts.overlay_works(cluster.state) else "native"
    files = {
        "containerd.toml": render.containerd(cluster, pause_image.name(), snapshotter),
        "cni/10-pods.conflist": render.cni(cluster),
        "kubelet.yaml": render.kubelet(cluster, ports),
        "kube-proxy.yaml": render.kube_proxy(cluster, ports),
        "Corefile": render.corefile(cluster, ports, Path("/etc/resolv.conf").read_text()),
        "resolv.conf": render.resolv_conf(),
    }
    for name, text in files.items():
        _write(cluster.state / name, text)


def _write(path: Path, text: str) -> None:
    # kube-proxy ends when its file is written, whether or not it says something new.
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    # Some of them hold keys.
    path.chmod(0o600)
