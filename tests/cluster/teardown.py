"""Ending a cluster: its processes and no others, then its mounts, network, cgroups and files.

Every step finds what it ends by something only this cluster has: a record file, its
cgroup, its socket's path, its directories, its bridge. So it also works on what a
killed or interrupted cluster left behind.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster import cgroups, mounts, network, process, supervise
from tests.cluster.config import Cluster, Profile
from tests.cluster.progress import say

# The kubelet first, so that nothing starts pods again; the store last.
ORDER = (
    "kubelet",
    "envoy",
    "contour",
    "metrics-server",
    "coredns",
    "kube-proxy",
    "containerd",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
)
# Nothing that they could still save is kept.
GRACE_SECONDS = 3.0
CONTAINER_LOG_LINKS = Path("/var/log/containers")


def remove(cluster: Cluster) -> None:
    """End the cluster and remove everything but the caches."""
    say(f"ending {cluster.name} ({cluster.profile})")
    supervise.stop(cluster, "kubelet", GRACE_SECONDS)
    if cluster.profile is Profile.NODE:
        _kill_pods(cluster)
    for name in ORDER:
        supervise.stop(cluster, name, GRACE_SECONDS)
    if cluster.profile is Profile.NODE:
        _kill_shims(cluster)
        _remove_node_traces(cluster)
    mounts.remove_tree(cluster.state)
    if not list(cluster.home.iterdir()):
        cluster.home.rmdir()


def _kill_pods(cluster: Cluster) -> None:
    # Again and again, as they may start others meanwhile.
    while running := cgroups.processes(cluster.cgroup):
        for one in running:
            process.kill(one)


def _kill_shims(cluster: Cluster) -> None:
    """containerd's shims outlive it on purpose; ours carry our socket's path in their command line."""
    for entry in Path("/proc").iterdir():
        shim = process.identify(int(entry.name)) if entry.name.isdigit() else None
        if shim and _is_our_shim(cluster, entry):
            process.kill(shim)


def _is_our_shim(cluster: Cluster, entry: Path) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return Path(words[0]).name.startswith("containerd-shim") and str(cluster.containerd_socket) in words


def _remove_node_traces(cluster: Cluster) -> None:
    cluster.values.unlink(missing_ok=True)
    for directory in (cluster.state, cluster.runtime):
        mounts.unmount_below(directory)
    network.remove()
    cgroups.remove(cluster.cgroup)
    mounts.remove_tree(cluster.runtime)
    for link in CONTAINER_LOG_LINKS.glob("*.log"):
        if link.is_symlink() and cluster.state in link.readlink().parents:
            link.unlink()
