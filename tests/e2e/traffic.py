"""A client inside the cluster that asks a service all the time and counts how that goes.

It counts from the first answer on. Connections are kept open, and nothing is tried again unless a journey asks for it:
every request that a user would see failing is counted.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

from mainspring.plan.common import objects
from tests.e2e import manifests
from tests.e2e.space import STEP_SECONDS, Space

PORT = 8000
CLIENTS = 4
PAUSE_SECONDS = 0.02
# The kubelet needs a moment to see that a process is gone, and a busy one some seconds; till then its address is a pod's.
RETRY_SECONDS = 10.0

SCRIPT = textwrap.dedent(
    """
    import collections, http.client, http.server, json, os, threading, time

    counts, versions, errors = collections.Counter(), collections.Counter(), []
    body = os.environ["BODY"].encode()

    def ask(connection):
        connection.request("POST", os.environ["ASKED"], body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:200]!r}")
        versions[json.loads(text)["model_version"]] += 1

    def tried(connection):
        for retries_left in reversed(range(int(os.environ["RETRIES"]) + 1)):
            try:
                return ask(connection)
            except Exception:
                connection.close()
                counts["tries_failed"] += 1
                if not retries_left:
                    raise
                time.sleep(float(os.environ["RETRY_PAUSE"]))

    def begin(connection):
        # A node learns of a new Service a moment after its pods are ready: no caller has been let down by then.
        while True:
            try:
                return ask(connection)
            except Exception:
                connection.close()
                time.sleep(0.1)

    def client():
        connection = http.client.HTTPConnection(os.environ["SERVICE"], 8080, timeout=10)
        begin(connection)
        while True:
            try:
                tried(connection)
            except Exception as error:
                counts["failed"] += 1
                errors.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}")
            counts["sent"] += 1
            time.sleep(float(os.environ["PAUSE"]))

    class Counts(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            told = {"versions": versions, "errors": errors[:5]}
            told |= {name: counts[name] for name in ("sent", "failed", "tries_failed")}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

    for _ in range(int(os.environ["CLIENTS"])):
        threading.Thread(target=client, daemon=True).start()
    http.server.HTTPServer(("", int(os.environ["PORT"])), Counts).serve_forever()
    """
)


@dataclass(frozen=True)
class Counts:
    sent: int
    failed: int
    versions: dict[str, int]
    errors: list[str]
    tries_failed: int = 0  # with a retry, more than `failed`


class Traffic:
    """Starts when it is made, ends with its pod.

    So many clients, each with a pause after every answer, in seconds; requests of three rows, so many times over; what
    fails is tried again so often.
    """

    def __init__(
        self,
        space: Space,
        image: str,
        service: str = "flowers",
        clients: int = CLIENTS,
        pause: float = PAUSE_SECONDS,
        times: int = 1,
        retries: int = 0,
    ) -> None:
        self._space = space
        self._name = f"{service}-client"
        load = {
            "CLIENTS": str(clients),
            "PAUSE": str(pause),
            "RETRIES": str(retries),
            "RETRY_PAUSE": str(RETRY_SECONDS),
        }
        space.apply(_pod(self._name, image, service, load, times))
        space.eventually(lambda: objects.condition_is(space.get("Pod", self._name), "Ready"), "the client is ready")

    def counts(self) -> Counts:
        answer = self._space.api.through_pod(self._space.name, self._name, PORT, "/")
        assert answer.status_code == 200, answer.text
        return Counts(**answer.json())

    def until_answered(self, version: str, more: int = 50) -> None:
        """Until this version, which may have to be rolled out first, has answered so many requests more; none may have failed."""
        wanted = self.counts().versions.get(version, 0) + more

        def check() -> str | None:
            now = self.counts()
            assert now.failed == 0, f"{now.failed} of {now.sent} requests failed: {now.errors}"
            return None if now.versions.get(version, 0) >= wanted else f"version {version} to answer {wanted}; {now}"

        self._space.until(check, 2 * STEP_SECONDS)

    def end(self) -> Counts:
        last = self.counts()
        self._space.api.delete(self._space.ref("Pod", self._name), gracePeriodSeconds=0)
        return last


def _pod(name: str, image: str, service: str, load: dict[str, str], times: int) -> dict[str, Any]:
    inputs = {n: v * times for n, v in manifests.FLOWERS.items()}
    tensors = [{"name": n, "datatype": "FP64", "shape": [len(v)], "data": v} for n, v in inputs.items()]
    variables = {
        "SERVICE": service,
        "ASKED": f"/v2/models/{service}/infer",
        "BODY": json.dumps({"inputs": tensors}),
        **load,
        "PORT": str(PORT),
    }
    container = {
        "name": "client",
        "image": image,
        "command": ["python", "-c", SCRIPT],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    user = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"securityContext": user, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
