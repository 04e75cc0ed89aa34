from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.runtime.data.preparing import Workshop
from tests.unit.runtime.labels.logs import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, (tmp_path / "log").as_uri(), Workshop(tmp_path))
