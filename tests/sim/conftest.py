"""A fresh cluster for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sim import stories
from tests.sim.simulation import Simulation


@pytest.fixture
def sim() -> Iterator[Simulation]:
    simulation = Simulation()
    yield simulation
    simulation.close()


@pytest.fixture
def serving() -> Iterator[Callable[[], Simulation]]:
    """Makes clusters in which a model is served; what is made is closed at the end."""
    made: list[Simulation] = []

    def make() -> Simulation:
        made.append(stories.served())
        return made[-1]

    yield make
    for simulation in made:
        simulation.close()
