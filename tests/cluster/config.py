"""What a cluster is: its name, profile, addresses, ports and directories. No side effects but reading."""

from __future__ import annotations

import enum
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.cluster import paths
from tests.cluster.errors import ClusterError

DEFAULT_NAME = "mainspring"

BRIDGE = "mainspring0"
BRIDGE_ADDRESS = "10.244.0.1"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
CLUSTER_DOMAIN = "cluster.local"
LOOPBACK = "127.0.0.1"

# Below the kernel's own range for outgoing connections (32768 and up) and below NodePorts (30000 and up).
FIRST_PORT = 20000
LAST_PORT = 29980
BLOCK = 20


class Profile(enum.StrEnum):
    """How much of Kubernetes runs."""

    NODE = "node"
    """Everything: containers really run."""
    APISERVER = "apiserver"
    """etcd and the API server only: validation, RBAC, watches; no pod ever runs."""


@dataclass(frozen=True)
class Ports:
    """Every port that a cluster listens on."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kubelet: int
    kubelet_health: int
    proxy_health: int
    proxy_metrics: int
    dns_ready: int

    @classmethod
    def block(cls, first: int) -> Ports:
        """Consecutive ports from `first` on."""
        return cls(*range(first, first + len(fields(cls))))

    # The rest of the block belongs to what is added to a running cluster, whose ports must not change for it.

    @property
    def metrics_server(self) -> int:
        """What `kubectl top` is answered by."""
        return self._added(0)

    @property
    def envoy(self) -> int:
        """What the Gateway listens at."""
        return self._added(1)

    @property
    def envoy_stats(self) -> int:
        """What Envoy tells of itself."""
        return self._added(2)

    @property
    def xds(self) -> int:
        """Where Envoy asks Contour."""
        return self._added(3)

    @property
    def contour(self) -> int:
        """What Contour tells of itself."""
        return self._added(4)

    @property
    def contour_debug(self) -> int:
        """What Contour's profiler is at."""
        return self._added(5)

    @property
    def envoy_admin(self) -> int:
        """What Envoy lets be read of its state."""
        return self._added(6)

    def _added(self, number: int) -> int:
        return self.dns_ready + 1 + number

    def all(self) -> tuple[int, ...]:
        """The ports as plain numbers."""
        return tuple(asdict(self).values())


@dataclass(frozen=True)
class Cluster:
    """The names and directories of one cluster."""

    name: str
    profile: Profile

    @property
    def home(self) -> Path:
        """What the profiles of one name share."""
        return paths.clusters() / self.name

    @property
    def state(self) -> Path:
        """Everything this cluster keeps on disk; removed by `down`."""
        return self.home / self.profile.value

    @property
    def runtime(self) -> Path:
        """Sockets and mounts; short, as a socket's path may have 107 bytes only."""
        return Path("/run/mainspring") / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def values(self) -> Path:
        """The Helm values with the images that were loaded last."""
        return self.home / "values.yaml"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One log file for each component."""
        return self.state / "logs"

    @property
    def volumes(self) -> Path:
        """The directories behind the persistent volumes."""
        return self.state / "volumes"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.runtime / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The cgroup that every pod is below, from the root of the hierarchy."""
        return f"/mainspring-{self.name}"

    @property
    def lock(self) -> Path:
        """Held by whoever changes the cluster."""
        return paths.clusters() / f"{self.name}-{self.profile.value}.lock"

    def record(self, component: str) -> Path:
        """The record file of a component's process."""
        return self.state / "run" / f"{component}.json"

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self.logs / f"{component}.log"


def load_ports(cluster: Cluster) -> Ports | None:
    """The ports that the cluster was given, if it was."""
    try:
        return Ports(**json.loads((cluster.state / "ports.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def save_ports(cluster: Cluster, ports: Ports) -> None:
    """Remember the cluster's ports."""
    (cluster.state / "ports.json").write_text(json.dumps(asdict(ports)))


def pick_ports(is_free: Callable[[int], bool]) -> Ports:
    """The first block of ports that are all free."""
    for ports in _blocks():
        if all(is_free(port) for port in ports.all()):
            return ports
    raise ClusterError(f"no {BLOCK} consecutive ports are free between {FIRST_PORT} and {LAST_PORT}")


@contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Different TCP ports of this machine's own address, for programs that a test starts and perhaps starts again.

    Until the block ends the kernel gives them to nobody who asks for any port, and lets a server listen on them: a port
    that is only bound may be bound once more when both sockets allow reuse, as those of servers do.
    """
    with ExitStack() as held:
        holders = [held.enter_context(socket.socket()) for _ in range(count)]
        for holder in holders:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((LOOPBACK, 0))
        yield [holder.getsockname()[1] for holder in holders]


def port_is_free(port: int) -> bool:
    """Whether nothing on this machine listens on a TCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections that were closed a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _blocks() -> Iterator[Ports]:
    for first in range(FIRST_PORT, LAST_PORT, BLOCK):
        yield Ports.block(first)
