from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.prometheus import fleet
from tests.prometheus.fleet import Fleet
from tests.unit.runtime.serve import artifact
from tests.unit.runtime.train import prepared_data


@pytest.fixture(scope="session")
def watched_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """After its story: Prometheus has seen all of it."""
    root = tmp_path_factory.mktemp("fleet")
    version = artifact.train(prepared_data.mixed(root / "dataset", rows=400), root, "outcome")
    with fleet.started(version, root) as found:
        found.tell()
        yield found
