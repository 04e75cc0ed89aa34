"""A real API server with our CRDs, shared by all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import cluster
from tests.apiserver import crds
from tests.apiserver.server import Server


@pytest.fixture(scope="session")
def server() -> Server:
    """The administrator's connection, after the CRDs of this checkout were accepted."""
    found = Server.connect(cluster.up_apiserver())
    crds.install(found)
    return found


@pytest.fixture
def namespace(server: Server) -> Iterator[str]:
    """A namespace of the test's own."""
    yield from _temporary_namespace(server, {})


@pytest.fixture
def restricted(server: Server) -> Iterator[str]:
    """A namespace that admits only pods of the Pod Security standard `restricted`."""
    yield from _temporary_namespace(server, {"pod-security.kubernetes.io/enforce": "restricted"})


def _temporary_namespace(server: Server, labels: dict[str, str]) -> Iterator[str]:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "api-", "labels": labels}}
    name = server.create(manifest)["metadata"]["name"]
    yield name
    server.delete({**manifest, "metadata": {"name": name}})
