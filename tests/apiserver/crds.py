"""Our CRDs, as this checkout has them, in an API server."""

from __future__ import annotations

from mainspring.api.v1alpha1.common import API_VERSION
from tests.apiserver.server import Manifest, Refused, Server
from tests.chart import rendering
from tests.cluster import wait

SERVED_SECONDS = 30.0


def manifests() -> tuple[Manifest, ...]:
    """All of them."""
    paths = sorted((rendering.REPOSITORY / "crds").glob("*.yaml"))
    return tuple(crd for path in paths for crd in rendering.parse(path.read_text()))


def install(server: Server) -> None:
    """Return when the API server serves all our kinds."""
    for crd in manifests():
        server.apply(crd)
    for crd in manifests():
        server.wait_for_condition(crd, "Established")
        _await_served(server, crd["spec"]["names"]["plural"])


def _await_served(server: Server, plural: str) -> None:
    """The first requests to a new kind are answered with `storage is (re)initializing`."""

    def missing() -> str | None:
        try:
            server.request("GET", f"/apis/{API_VERSION}/{plural}", query={"limit": "1"})
        except Refused as refused:
            return str(refused)
        return None

    wait.until(missing, SERVED_SECONDS)
