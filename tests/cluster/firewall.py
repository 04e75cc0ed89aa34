"""The iptables rules of the node: what it adds itself, and the removal of all that its components left.

The text that `iptables-save` prints goes in, the text that `iptables-restore
--noflush` wants comes out; in between nothing but strings.
"""

from __future__ import annotations

import re

from tests.cluster import command
from tests.cluster.config import BRIDGE, SERVICE_RANGE
from tests.cluster.render import CNI_NETWORK

TABLES = ("nat", "filter", "mangle")
FAMILIES = ("iptables", "ip6tables")
LOCK_SECONDS = "10"
RULES = (
    # Something else (a Docker engine, say) may have set forwarding to DROP.
    ("FORWARD", "-i", BRIDGE, "-j", "ACCEPT"),
    ("FORWARD", "-o", BRIDGE, "-j", "ACCEPT"),
    # These come to stand before the others. What kube-proxy does not know yet has no way out: else it leaves the machine,
    # and whoever answers there is taken for the Service, by clients that keep a connection for good.
    ("FORWARD", "-d", SERVICE_RANGE, "-j", "REJECT"),
    ("OUTPUT", "-d", SERVICE_RANGE, "-j", "REJECT"),
)

_JUMP = re.compile(r" -[jg] (\S+)")
# The port mapping plugin shares these between networks.
_SHARED = "CNI-HOSTPORT-"


def add_ours() -> None:
    """Pods reach each other and the world, whatever the machine's policy is; addresses of Services that are not there, nobody."""
    for rule in RULES:
        if not command.succeeds(_filter("-C", rule)):
            command.run(_filter("-I", rule))


def remove_ours() -> None:
    """Remove the rules and chains of kube-proxy, the kubelet, the pod network and ourselves."""
    for rule in RULES:
        while command.succeeds(_filter("-D", rule)):
            pass
    for family in FAMILIES:
        for table in TABLES:
            _clean(family, table)


def removal(table: str, saved: str) -> str:
    """Commands that remove our chains, and every rule that jumps into one, from a saved table; may be empty."""
    rules = [line for line in saved.splitlines() if line.startswith("-A ")]
    declared = [line.split()[0].removeprefix(":") for line in saved.splitlines() if line.startswith(":")]
    ours = _our_chains(declared, rules)
    if not ours:
        return ""
    detached = [
        "-D " + rule.removeprefix("-A ") for rule in rules if _chain(rule) not in ours and _target(rule) in ours
    ]
    emptied = [f"-F {chain}" for chain in ours]
    deleted = [f"-X {chain}" for chain in ours]
    return "\n".join([f"*{table}", *detached, *emptied, *deleted, "COMMIT", ""])


def _our_chains(declared: list[str], rules: list[str]) -> list[str]:
    network = f'name: \\"{CNI_NETWORK}\\"'
    of_pods = {_target(rule) for rule in rules if network in rule}
    foreign = any(_target(rule).startswith("CNI-DN-") and network not in rule for rule in rules)
    return [
        chain
        for chain in declared
        if chain.startswith("KUBE-")
        or (chain.startswith("CNI-") and chain in of_pods)
        or (chain.startswith(_SHARED) and not foreign)
    ]


def _chain(rule: str) -> str:
    return rule.split()[1]


def _target(rule: str) -> str:
    found = _JUMP.search(rule)
    return found[1] if found else ""


def _clean(family: str, table: str) -> None:
    if not command.succeeds([f"{family}-save", "-t", table]):
        return
    commands = removal(table, command.run([f"{family}-save", "-t", table]))
    if commands:
        command.run([f"{family}-restore", "--noflush", "-w", LOCK_SECONDS], stdin=commands)


def _filter(action: str, rule: tuple[str, ...]) -> list[str]:
    return ["iptables", "-w", LOCK_SECONDS, action, *rule]
