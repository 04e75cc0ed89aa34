"""A fresh cluster for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sim.simulation import Simulation


@pytest.fixture
def sim() -> Iterator[Simulation]:
    simulation = Simulation()
    yield simulation
    simulation.close()
