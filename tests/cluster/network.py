"""The bridge that pods are plugged into, and the kernel settings that it needs.

The bridge is made before the first pod, so its address can be the node's own: the
node does not depend on what the machine is otherwise connected to.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster import command, firewall
from tests.cluster.config import BRIDGE, BRIDGE_ADDRESS, POD_RANGE
from tests.cluster.errors import ClusterError
from tests.cluster.render import CNI_NETWORK

# A bridge without a fixed one changes it as pods come and go.
BRIDGE_MAC = "02:00:0a:f4:00:01"
SETTINGS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
CNI_RESULTS = Path("/var/lib/cni/results")


def ensure() -> None:
    """Have the bridge up, with its address, and packets passing."""
    if not _exists():
        command.run(["ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge"])
    prefix = POD_RANGE.partition("/")[2]
    command.run(["ip", "address", "replace", f"{BRIDGE_ADDRESS}/{prefix}", "dev", BRIDGE])
    command.run(["ip", "link", "set", BRIDGE, "up"])
    for name, value in SETTINGS.items():
        _set(name, value)
    firewall.add_ours()


def remove() -> None:
    """Remove the bridge, the rules, and what the network plugins remember."""
    if _exists():
        command.run(["ip", "link", "delete", BRIDGE])
    firewall.remove_ours()
    for result in CNI_RESULTS.glob(f"{CNI_NETWORK}-*-eth0"):
        sandbox = result.name.removeprefix(f"{CNI_NETWORK}-").removesuffix("-eth0")
        (CNI_RESULTS / f"cni-loopback-{sandbox}-lo").unlink(missing_ok=True)
        result.unlink()


def _exists() -> bool:
    return command.succeeds(["ip", "link", "show", "dev", BRIDGE])


def _set(name: str, value: str) -> None:
    path = Path("/proc/sys", name)
    if not path.exists():
        # Built into the kernel or a module; where it is neither, the next lines say so.
        command.succeeds(["modprobe", "br_netfilter"])
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise ClusterError(f"cannot set {name.replace('/', '.')} to {value}: {error}") from error
