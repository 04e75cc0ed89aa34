"""The Pod Security standard `restricted`, as a list of checks on a pod's spec. The API server's own verdict is asked
for in tests/apiserver; this one needs no cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Spec = dict[str, Any]
Check = Callable[[Spec], Iterator[str]]

ALLOWED_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)


def violations(spec: Spec) -> list[str]:
    """What the standard forbids in this pod, as sentences."""
    return [found for check in CHECKS for found in check(spec)]


def _containers(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Each container with its security context; what it does not set, the pod's applies."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key, []):
            yield container["name"], {**spec.get("securityContext", {}), **container.get("securityContext", {})}


def _host(spec: Spec) -> Iterator[str]:
    yield from (f"{key} must not be set" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    for key in ("initContainers", "containers"):
        for container in spec.get(key, []):
            yield from (f"{container['name']}: hostPort" for port in container.get("ports", []) if "hostPort" in port)


def _volumes(spec: Spec) -> Iterator[str]:
    for volume in spec.get("volumes", []):
        yield from (f"volume {volume['name']} is a {key}" for key in volume.keys() - {"name"} - ALLOWED_VOLUMES)


def _privileges(spec: Spec) -> Iterator[str]:
    for name, context in _containers(spec):
        if context.get("privileged"):
            yield f"{name} is privileged"
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation must be false"


def _capabilities(spec: Spec) -> Iterator[str]:
    for name, context in _containers(spec):
        capabilities = context.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities must drop ALL"


def _users(spec: Spec) -> Iterator[str]:
    for name, context in _containers(spec):
        if context.get("runAsNonRoot") is not True:
            yield f"{name}: runAsNonRoot must be true"
        if context.get("runAsUser") == 0:
            yield f"{name}: runAsUser must not be 0"


def _seccomp(spec: Spec) -> Iterator[str]:
    for name, context in _containers(spec):
        if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
            yield f"{name}: seccompProfile must be RuntimeDefault or Localhost"


CHECKS: tuple[Check, ...] = (_host, _volumes, _privileges, _capabilities, _users, _seccomp)
