"""Memory and CPU of the operator with many ModelMonitors of 50 features, each over a service of several pods.

    python -m tests.bench.bench_monitors [--monitors N] [--pods N] [--seconds N]

No pod runs: servers that only count answer in their place, on loopback addresses.
"""

from __future__ import annotations

import argparse
import time

from mainspring.api.v1alpha1.common import API_VERSION, LABEL_MANAGED_BY, LABEL_REVISION, LABEL_SERVICE
from mainspring.plan.common import objects
from tests.apiserver.server import Manifest, Server
from tests.bench import counting_servers, stage, table
from tests.cluster import wait
from tests.wiring.operator import Operator

MONITORS, PODS, SECONDS = 100, 2, 300
SPACE = "operator"
GOAL_MIB = 50
SETTLED_WINDOWS = 12  # a season has eight parts at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--monitors", type=int, default=MONITORS)
    parser.add_argument("--pods", type=int, default=PODS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long the CPU is measured")
    options = parser.parse_args()
    with stage.opened() as found, counting_servers.answering():
        operator = found.serve(SPACE, options.monitors)
        _run_pods(found.server, options.pods)
        before = _memory(operator)
        _watch(found.server)
        _await_windows(found.server, SETTLED_WINDOWS)
        began, used = time.monotonic(), stage.cpu_seconds(operator.process.pid)
        reached = _windows(found.server)
        wait.until(lambda: "time" if time.monotonic() - began < options.seconds else None, 2.0 * options.seconds)
        cpu = (stage.cpu_seconds(operator.process.pid) - used) / (time.monotonic() - began)
        closed = _windows(found.server) - reached
        after = stage.memory_mib(operator.metrics())
        operator.terminate()
        again = found.start()
        _await_windows(found.server, max(_each(found.server)) + 2)
        restarted = stage.memory_mib(again.metrics())
    title = f"{options.monitors} monitors of {counting_servers.FEATURES} features, {options.pods} pods each, read every 10 s, windows of 30 s (goal: at most +{GOAL_MIB} MiB)"
    rows = [
        ("MiB without monitors", round(before)),
        ("MiB with monitors", round(after)),
        ("MiB after a restart", round(restarted)),
        ("CPU, share of a core", round(cpu, 3)),
        (f"windows closed in {options.seconds} s", closed),
    ]
    table.show(title, ("what", "measured"), rows)


def _memory(operator: Operator) -> float:
    stage.await_quiet(operator)
    return stage.memory_mib(operator.metrics())


def _run_pods(server: Server, pods: int) -> None:
    """As if there were a node: every Deployment is available, and its pods have addresses."""
    found = server.request("GET", f"/apis/apps/v1/namespaces/{SPACE}/deployments")["items"]
    for number, deployment in enumerate(found):
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 1)
        status = {**counts, "observedGeneration": objects.generation(deployment)}
        whole = {**deployment, "apiVersion": "apps/v1", "kind": "Deployment"}
        server.merge(whole, {"status": status}, "/status")
        for pod in range(pods):
            _run_pod(server, whole, pod, f"127.{1 + pod}.{number // 250}.{number % 250 + 1}")


def _run_pod(server: Server, deployment: Manifest, number: int, address: str) -> None:
    labels = {k: objects.labels(deployment)[k] for k in (LABEL_SERVICE, LABEL_REVISION, LABEL_MANAGED_BY)}
    metadata = {"name": f"{objects.name(deployment)}-{number}", "namespace": SPACE, "labels": labels}
    template = objects.spec(deployment)["template"]["spec"]
    spec = {"containers": [{"name": "model", "image": "none"}], "serviceAccountName": template["serviceAccountName"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    server.create(pod)
    server.merge(pod, {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}, "/status")


def _watch(server: Server) -> None:
    for service in server.request("GET", f"/apis/{API_VERSION}/namespaces/{SPACE}/inferenceservices")["items"]:
        name = objects.name(service)
        spec = {
            "service": name,
            "interval": "10s",
            "window": {"length": "30s", "minimumRows": 500},
            "season": "3m",
            "performance": {"metric": "accuracy", "minimum": 0.8},
        }
        metadata = {"name": name, "namespace": SPACE}
        server.create({"apiVersion": API_VERSION, "kind": "ModelMonitor", "metadata": metadata, "spec": spec})


def _each(server: Server) -> list[int]:
    """Windows that each monitor has closed."""
    items = server.request("GET", f"/apis/{API_VERSION}/namespaces/{SPACE}/modelmonitors")["items"]
    return [int(objects.status(item).get("lastWindow", {}).get("number", 0)) for item in items]


def _windows(server: Server) -> int:
    return sum(_each(server))


def _await_windows(server: Server, count: int) -> None:
    def missing() -> str | None:
        least = min(_each(server))
        return None if least >= count else f"a monitor has closed {least} of {count} windows"

    wait.until(missing, stage.PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
