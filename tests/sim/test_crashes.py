"""Killed after every single write, the operator comes to the same end: nothing lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.sim import end_state, stories
from tests.sim.api import Crash
from tests.sim.simulation import Simulation
from tests.sim.stories import STORIES, Step


@dataclass
class Told:
    """How a story ended."""

    state: dict[str, Any]
    jobs: list[str]
    decisions: dict[str, int]
    interrupted: bool


def tell(start: Callable[[], Simulation], steps: tuple[Step, ...], **trouble: int) -> Told:
    """Tells a story; the operator that begins it has this trouble, those that follow have none."""
    sim = start()
    sim.restart(**trouble)
    crashed = False
    for step in (lambda _: None, *steps):
        crashed |= _survives(sim, lambda s=step: s(sim))
        crashed |= _survives(sim, sim.settle)
    lost = trouble.get("lose_after", 0)
    told = Told(
        end_state.of(sim.server),
        end_state.jobs_made(sim.server),
        end_state.decisions(sim.server),
        crashed or 0 < lost <= len(sim.operator.api.writes),
    )
    sim.close()
    return told


def _survives(sim: Simulation, act: Callable[[], None]) -> bool:
    """True if the operator was killed meanwhile; then another one took over."""
    try:
        act()
    except Crash:
        sim.restart()
        sim.settle()
        return True
    return False


def check_every_write(start: Callable[[], Simulation], steps: tuple[Step, ...], trouble: str) -> None:
    """The same end, whichever write is hit."""
    expected = tell(start, steps)
    for number in range(1, 1000):
        told = tell(start, steps, **{trouble: number})
        assert told.jobs == expected.jobs, f"{trouble}={number}"
        assert told.state == expected.state, f"{trouble}={number}"
        assert set(told.decisions) <= set(expected.decisions), f"{trouble}={number}"
        assert set(told.decisions.values()) <= {1}, f"{trouble}={number}"
        if not told.interrupted:
            assert told.decisions == expected.decisions
            return
    raise AssertionError("the story never ends")


def test_the_whole_loop_survives_a_crash_after_every_write() -> None:
    check_every_write(Simulation, (stories.first_loop,), "crash_after")


def test_the_whole_loop_survives_the_loss_of_every_answer() -> None:
    check_every_write(Simulation, (stories.first_loop,), "lose_after")


@pytest.mark.parametrize("story", STORIES)
def test_every_story_survives_a_crash_after_every_write(story: str) -> None:
    check_every_write(stories.served, STORIES[story], "crash_after")


@pytest.mark.parametrize("story", STORIES)
def test_every_story_survives_the_loss_of_every_answer(story: str) -> None:
    check_every_write(stories.served, STORIES[story], "lose_after")
