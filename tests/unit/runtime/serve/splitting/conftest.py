"""What tests of splits share."""

from __future__ import annotations

import pytest

from mainspring_runtime.serve.splitting import opening


@pytest.fixture
def long_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is over in which a candidate may be unreachable, since its way is only opening."""
    monkeypatch.setattr(opening, "SECONDS", 0.0)
