"""Telling a story, and telling it with trouble in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.sim import end_state
from tests.sim.api import Crash
from tests.sim.simulation import Simulation, Snapshot
from tests.sim.stories import BEGIN, Step, Wait


@dataclass(frozen=True)
class Ending:
    """What a story has come to."""

    state: dict[str, Any]
    jobs: list[str]  # every Job that was ever made
    decisions: dict[str, int]  # how often each was told as an Event


@dataclass
class Killed:
    """The cluster as a write left it, and what was still to come of the story."""

    write: str
    cluster: Snapshot
    rest: Sequence[Step]


@dataclass
class Telling:
    sim: Simulation
    kills: list[Killed] = field(default_factory=list)

    def tell(self, steps: Sequence[Step]) -> Ending:
        """To the end, remembering the cluster after every single write from BEGIN on."""
        begin = steps.index(BEGIN) if BEGIN in steps else 0
        for number, step in enumerate(steps):
            rest = steps[number if isinstance(step, Wait) else number + 1 :]
            if number >= begin:
                self.sim.operator.api.after_write = lambda rest=rest: self._remember(rest)
            step(self.sim)
            self.sim.settle()
        return end(self.sim)

    def _remember(self, rest: Sequence[Step]) -> None:
        """But for Events: the operator does not read them, so these kills would be those before them once more."""
        write = self.sim.operator.api.writes[-1]
        if " Event " not in write:
            self.kills.append(Killed(write, self.sim.freeze(), rest))


def end(sim: Simulation) -> Ending:
    sim.close()
    return Ending(end_state.of(sim.server), end_state.jobs_made(sim.server), end_state.decisions(sim.server))


def tell(sim: Simulation, steps: Sequence[Step]) -> Ending:
    for step in steps:
        step(sim)
        sim.settle()
    return end(sim)


def resume(kill: Killed) -> Ending:
    """A new operator finds the cluster as the killed one left it."""
    sim = kill.cluster.thaw()
    sim.settle()
    return tell(sim, kill.rest)


def tell_until_killed(start: Callable[[], Simulation], steps: Sequence[Step], number: int) -> Ending:
    """With an operator that is killed in the middle of what it does, after that many writes."""
    sim = start()
    sim.restart(crash_after=number)
    for step in steps:
        try:
            step(sim)
            sim.settle()
        except Crash:
            sim.restart()
            sim.settle()
    return end(sim)


def writes(start: Callable[[], Simulation], steps: Sequence[Step]) -> dict[int, str]:
    """The numbers of all writes, but for Events, which the operator never reads."""
    sim = start()
    tell(sim, steps)
    return {n: write for n, write in enumerate(sim.operator.api.writes, 1) if " Event " not in write}


def check(told: Ending, expected: Ending, when: str) -> None:
    """The same names, numbers and verdicts; nothing left over, nothing done twice."""
    assert told.jobs == expected.jobs, when
    assert told.state == expected.state, when
    assert not {name for name, times in told.decisions.items() if times > expected.decisions.get(name, 0)}, when
