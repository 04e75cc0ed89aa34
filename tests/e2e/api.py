"""The cluster's API for tests: one `kubectl proxy`, so that looking at an object often costs next to nothing.

The proxy listens on a Unix socket in a folder of its own: nobody else on the machine can use it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mainspring.kube import resources
from mainspring.plan.common.objects import Object, Ref
from tests.cluster import wait
from tests.demo import release

TIMEOUT_SECONDS = 30.0
START_SECONDS = 60.0
EVICT_SECONDS = 90.0
MERGE_PATCH = "application/merge-patch+json"


@contextmanager
def connect(folder: Path) -> Iterator[Api]:
    """The API of the test cluster, for the time of the block."""
    socket = folder / "api.sock"
    words = ["kubectl", "proxy", f"--unix-socket={socket}"]
    with subprocess.Popen(words, env=release.environment(), stdout=subprocess.DEVNULL) as process:
        try:
            wait.until(lambda: None if socket.exists() else "kubectl proxy makes its socket", START_SECONDS)
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://localhost", timeout=TIMEOUT_SECONDS
            ) as http:
                yield Api(http)
        finally:
            process.terminate()


class Api:
    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def get(self, target: Ref) -> Object | None:
        """None when there is no such object."""
        answer = self.http.get(resources.path(target))
        return None if answer.status_code == 404 else _checked(answer).json()

    def list(self, kind: str, namespace: str, **parameters: str) -> list[Object]:
        path = resources.BY_KIND[kind].path(namespace)
        found: list[Object] = _checked(self.http.get(path, params=parameters)).json()["items"]
        return [{"kind": kind, **item} for item in found]

    def merge(self, target: Ref, change: Mapping[str, Any]) -> None:
        """Merge-patch; a null removes a field."""
        _checked(self.http.patch(resources.path(target), json=change, headers={"Content-Type": MERGE_PATCH}))

    def replace_status(self, obj: Object) -> None:
        target = Ref(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])
        _checked(self.http.put(resources.path(target, "status"), json=obj))

    def delete(self, target: Ref, **options: Any) -> None:
        """With everything that belongs to it, in the background, as kubectl does; no matter if it is gone."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", **options}
        answer = self.http.request("DELETE", resources.path(target), json=body)
        if answer.status_code != 404:
            _checked(answer)

    def evict(self, pod: Object) -> None:
        """Asks as a node drain does: again, as long as the disruption budget does not allow it or is being counted."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        path = resources.path(Ref("Pod", namespace, name), "eviction")

        def refused() -> str | None:
            answer = self.http.post(path, json=body)
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                return answer.text
            _checked(answer)
            return None

        wait.until(refused, EVICT_SECONDS)

    def log(self, pod: Object, container: str) -> str:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        path = resources.path(Ref("Pod", namespace, name), "log")
        return _checked(self.http.get(path, params={"container": container})).text

    def through_pod(self, namespace: str, pod: str, port: int, path: str, method: str = "GET") -> httpx.Response:
        """A request to a pod, by way of the API server."""
        return self.http.request(method, f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}")

    def through_service(
        self, namespace: str, service: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """GET, or POST with a body, to a port named `http` of a Service, by way of the API server."""
        url = f"/api/v1/namespaces/{namespace}/services/{service}:http/proxy{path}"
        return self.http.get(url) if body is None else self.http.post(url, json=body, headers=headers)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise AssertionError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer
