"""Killed after every single write, the operator comes to the same end: nothing lost, nothing done twice."""

from __future__ import annotations

import pytest

from tests.sim import stories, telling
from tests.sim.simulation import Simulation
from tests.sim.stories import STORIES


def test_the_whole_loop_survives_a_kill_at_every_write() -> None:
    """Here the operator dies of an exception; in the stories a new one begins with what the old one left."""
    expected = telling.tell(Simulation(), [stories.first_loop])
    for number, write in telling.writes(Simulation, [stories.first_loop]).items():
        told = telling.tell_until_killed(Simulation, [stories.first_loop], number)
        telling.check(told, expected, f"killed at write {number}: {write}")


@pytest.mark.thorough
@pytest.mark.parametrize("story", STORIES)
def test_every_story_survives_a_kill_at_every_write(story: str) -> None:
    told = telling.Telling(stories.served())
    expected = told.tell(STORIES[story])
    assert told.kills
    for number, kill in enumerate(told.kills, 1):
        telling.check(telling.resume(kill), expected, f"killed after write {number}: {kill.write}")


@pytest.mark.thorough
@pytest.mark.parametrize("story", STORIES)
def test_lost_answers_change_nothing(story: str) -> None:
    """Every second and every third answer is lost, in turns, so that each is lost at least twice."""
    expected = telling.tell(stories.served(), STORIES[story])
    for first, every in ((1, 2), (2, 2), (1, 3), (2, 3), (3, 3)):
        sim = stories.served()
        sim.restart(loses=range(first, 1000, every))
        telling.check(telling.tell(sim, STORIES[story]), expected, f"every {every}th answer was lost, from {first}")
