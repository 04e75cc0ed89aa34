from __future__ import annotations

import pytest

from tests.unit.runtime.serve import artifact
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.train import prepared_data


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A classifier over columns of every type, that ONNX Runtime may run."""
    root = tmp_path_factory.mktemp("version")
    return artifact.train(prepared_data.mixed(root / "dataset", rows=400), root, "outcome")
