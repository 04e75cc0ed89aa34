"""The operator's own pod: killed without warning, taken down, brought back, upgraded.

To send SIGKILL to a container's first process one has to be outside of its PID namespace. A pod that sees the processes of
its node does that, with the operator's own user and not as root, so it can hit nothing else by mistake.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from tests.cluster import wait
from tests.demo import release
from tests.e2e.api import Api
from tests.e2e.space import Space
from tests.wiring.operator import Metrics

SECONDS = 180.0
PORT = 8000
KILLER = "killer"
# Journeys that do something to the operator, which all share: one after another, beside those that only use it.
IN_TURN = pytest.mark.xdist_group("operator")
OPERATOR_LABELS = f"app.kubernetes.io/component=operator,app.kubernetes.io/instance={release.RELEASE}"

# A container finds its pod's name in HOSTNAME; the processes of other users cannot be read, nor ended.
SCRIPT = textwrap.dedent(
    f"""
    import http.server, os, signal

    def processes_of(pod):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{{pid}}/environ", "rb") as environment:
                    if f"HOSTNAME={{pod}}".encode() in environment.read().split(b"\\0"):
                        yield int(pid)
            except OSError:
                pass

    class Killer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            found = list(processes_of(self.path.rsplit("/", 1)[-1]))
            for pid in found:
                os.kill(pid, signal.SIGKILL)
            self.send_response(200 if found else 404)
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.end_headers()

    http.server.HTTPServer(("", {PORT}), Killer).serve_forever()
    """
)


class ControlPlane:
    def __init__(self, api: Api) -> None:
        self.api = api

    def pod(self) -> Object:
        """The operator's pod. Another journey may just be replacing it."""
        found: list[Object] = []

        def check() -> str | None:
            found[:] = self._pods()
            return None if len(found) == 1 else f"one operator; there are {[objects.name(p) for p in found]}"

        wait.until(check, SECONDS)
        return found[0]

    def _pods(self) -> list[Object]:
        every = self.api.list("Pod", release.NAMESPACE, labelSelector=OPERATOR_LABELS)
        return [pod for pod in every if not objects.is_deleting(pod)]

    def variable(self, name: str) -> str:
        """A setting of the operator, as the chart gave it."""
        container = objects.spec(self.pod())["containers"][0]
        return next(str(item["value"]) for item in container["env"] if item["name"] == name)

    def restarts(self, pod: Object) -> int:
        statuses = objects.status(pod).get("containerStatuses") or ()
        return sum(int(status.get("restartCount", 0)) for status in statuses)

    def bugs(self) -> float:
        """Reconciles that failed for a reason nobody foresaw, since this operator was started."""
        path = f"/api/v1/namespaces/{release.NAMESPACE}/services/{release.RELEASE}-metrics:metrics/proxy/metrics"
        told: list[str] = []

        def check() -> str | None:
            try:
                answer = self.api.http.get(path)
            except httpx.TransportError as error:  # its pod has just gone, and nobody knows yet
                return f"the operator to tell its metrics: {error}"
            told[:] = [answer.text] if answer.is_success else []
            return None if told else f"the operator to tell its metrics: {answer.status_code}"

        wait.until(check, SECONDS)
        return Metrics(told[0]).total("mainspring_reconcile_bugs_total")

    def kill(self, killer: Space) -> None:
        """SIGKILL, and waits until the kubelet has started it again. `killer`: where `start_killer` was called."""
        before = self.pod()
        self.kill_pod(killer, before)

        def check() -> str | None:
            now = self.pod()
            again = self.restarts(now) > self.restarts(before) and objects.condition_is(now, "Ready")
            return None if again else "the operator to be started again by the kubelet"

        wait.until(check, SECONDS)

    def kill_pod(self, killer: Space, pod: Object) -> None:
        """SIGKILL for every process of a pod that runs as the operator's user, as all pods of ours do."""
        assert self.try_to_kill(killer, pod), f"no process of {objects.name(pod)} was found"

    def try_to_kill(self, killer: Space, pod: Object) -> bool:
        """False when no process of the pod runs just now."""
        answer = self.api.through_pod(killer.name, KILLER, PORT, f"/{objects.name(pod)}", "POST")
        assert answer.status_code in (200, 404), answer.text
        return bool(answer.status_code == 200)

    def replace(self) -> None:
        """Another pod in place of this one, as a drained node would; the count of restarts begins anew."""
        before = self.pod()
        self.api.delete(objects.ref(before))
        self.await_ready(not_uid=objects.uid(before))

    def await_ready(self, not_uid: str = "") -> None:
        def check() -> str | None:
            ready = [p for p in self._pods() if objects.condition_is(p, "Ready") and objects.uid(p) != not_uid]
            return None if ready else "the operator to be ready"

        wait.until(check, SECONDS)

    @contextmanager
    def down(self) -> Iterator[None]:
        """No operator at all for the time of the block."""
        deployment = Ref("Deployment", release.NAMESPACE, release.RELEASE)
        before = objects.spec(self.api.get(deployment) or {})["replicas"]
        self.api.merge(deployment, {"spec": {"replicas": 0}})
        try:
            wait.until(lambda: "the operator to end" if self._every() else None, SECONDS)
            yield
        finally:
            self.api.merge(deployment, {"spec": {"replicas": before}})
            self.await_ready()

    def _every(self) -> list[Object]:
        return self.api.list("Pod", release.NAMESPACE, labelSelector=OPERATOR_LABELS)

    def start_killer(self, space: Space) -> None:
        """In a namespace that allows `hostPID`, on the operator's node."""
        node = objects.spec(self.pod())["nodeName"]
        # User and group must both be the operator's: the kernel lets nobody else look at its processes.
        given = objects.spec(self.pod())["securityContext"]
        identity = {key: given[key] for key in ("runAsUser", "runAsGroup")}
        container = {
            "name": KILLER,
            "image": self.variable("MAINSPRING_JOBS_IMAGE"),
            "command": ["python", "-c", SCRIPT],
            "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        }
        pod = {"hostPID": True, "nodeName": node, "securityContext": identity, "terminationGracePeriodSeconds": 0}
        spec = {**pod, "containers": [container]}
        space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": KILLER}, "spec": spec})
        space.eventually(lambda: objects.condition_is(space.get("Pod", KILLER), "Ready"), "the killer is ready")
