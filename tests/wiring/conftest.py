"""An API server of these tests' own: they take the CRDs away, and an operator of anybody else would interfere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import cluster
from tests.apiserver import crds
from tests.apiserver.server import Server
from tests.cluster import Profile
from tests.wiring.lab import Lab

CLUSTER = "wiring"


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    yield cluster.up_apiserver(CLUSTER)
    cluster.down(CLUSTER, Profile.APISERVER)


@pytest.fixture(scope="session")
def server(kubeconfig: Path) -> Server:
    """The administrator's connection, after the CRDs of this checkout were accepted."""
    found = Server.connect(kubeconfig)
    crds.install(found)
    return found


@pytest.fixture
def lab(kubeconfig: Path, server: Server, tmp_path: Path) -> Iterator[Lab]:
    """A namespace with a Model and its champion, and operators that look after all namespaces."""
    found = Lab(kubeconfig, server, tmp_path)
    yield found
    found.close()
