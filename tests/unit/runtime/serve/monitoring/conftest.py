from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mainspring_runtime.serve.monitoring.profile import Profile
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import Watching


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return watching.read_profile(tmp_path, watching.trained_profile())


@pytest.fixture
async def served(profile: Profile) -> AsyncIterator[Watching]:
    async with watching.serving(profile, watching.KEY) as served:
        yield served
