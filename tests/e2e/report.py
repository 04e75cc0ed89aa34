"""What is left to read when a journey failed: objects, events, pods and logs of its namespaces and of the operator."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cluster.errors import ClusterError
from tests.demo import release
from tests.e2e.space import Space

SPACES: pytest.StashKey[list[Space]] = pytest.StashKey()
LOG_LINES = 40
OPERATOR_LINES = 150
CONDITIONS = (
    "jsonpath={range .items[*]}{.kind} {.metadata.name}: {range .status.conditions[*]}"
    '{.type}={.status} {.reason}: {.message}{"\\n    "}{end}{"\\n"}{end}'
)


def sections(spaces: Sequence[Space]) -> list[tuple[str, str]]:
    found = [(f"namespace {space.name}", _namespace(space.name)) for space in spaces]
    return [*found, ("operator", _operator([space.name for space in spaces]))] if spaces else []


def _namespace(name: str) -> str:
    here = ("-n", name)
    parts = [
        _said("get", "mainspring,deployments,jobs,pods,services,resourcequotas", *here, "-o", "wide"),
        _said("get", "mainspring", *here, "-o", CONDITIONS),
        _said("get", "events", *here, "--sort-by=.lastTimestamp"),
        *(_log(name, pod) for pod in _said("get", "pods", *here, "-o", "name").split() if pod.startswith("pod/")),
    ]
    return "\n".join(parts)


def _log(namespace: str, pod: str) -> str:
    words = (pod, "-n", namespace, "--all-containers", "--prefix", "--ignore-errors", f"--tail={LOG_LINES}")
    return f"--- {pod}\n{_said('logs', *words)}{_previous(namespace, pod)}"


def _previous(namespace: str, pod: str) -> str:
    """What a container said before it was restarted, if it was."""
    restarts = _said("get", pod, "-n", namespace, "-o", "jsonpath={.status.containerStatuses[*].restartCount}")
    if not any(part not in ("0", "") for part in restarts.split()):
        return ""
    return _said("logs", pod, "-n", namespace, "--previous", f"--tail={LOG_LINES}")


def _operator(namespaces: Sequence[str]) -> str:
    deployment, here = f"deployment/{release.RELEASE}", ("-n", release.NAMESPACE)
    log = _said("logs", deployment, *here, "--tail=5000").splitlines()
    about = [line for line in log if any(name in line for name in namespaces) or "INFO" not in line]
    return "\n".join([_said("get", "pods", *here, "-o", "wide"), *about[-OPERATOR_LINES:]])


def _said(*words: str) -> str:
    """kubectl's answer, or why there is none: a report must not fail."""
    try:
        return release.kubectl(*words, timeout=30.0)
    except ClusterError as error:
        return f"{error}\n"
