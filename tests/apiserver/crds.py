"""Our CRDs, as this checkout has them, in an API server."""

from __future__ import annotations

from tests.apiserver.server import Manifest, Server
from tests.chart import rendering


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
