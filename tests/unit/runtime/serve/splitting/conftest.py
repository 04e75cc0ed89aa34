"""What tests of splits share."""

from __future__ import annotations

import pytest

from mainspring_runtime.serve.splitting import opening


@pytest.fixture(autouse=True)
def long_open(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is over in which nothing is held against a candidate, since the way to it is only opening."""
    if "opening" not in request.node.name:
        monkeypatch.setattr(opening, "SECONDS", 0.0)
