"""The driver: a cluster in memory with one operator or several, run until nothing moves any more.

`settle` lets everything happen that needs no waiting (a few seconds for retries of conflicts); `advance` lets time pass.
A `Crash` of an operator comes out of both; `restart` then starts a new process with an empty memory.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.engine import metrics
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.common.settings import Settings
from tests import builders
from tests.sim.api import Losses
from tests.sim.clock import Clock, SimLoop
from tests.sim.operator import Operator
from tests.sim.server import ApiServer
from tests.sim.workloads import Workloads

NAMESPACE = builders.NAMESPACE
STEP_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
ROUNDS_MAX = 3000


class Simulation:
    def __init__(self, settings: Settings = builders.SETTINGS, operators: int = 1) -> None:
        random.seed(0)  # the jitter of back-offs
        self._bugs = bugs()
        self.clock = Clock()
        self.server = ApiServer(self.clock)
        self.workloads = Workloads(self.server)
        self.settings = settings
        self._loop = SimLoop(self.clock)
        self.operators = [self._operator() for _ in range(operators)]

    def close(self) -> None:
        self._loop.close()

    def _operator(self, crash_after: int | None = None, loses: Losses = frozenset()) -> Operator:
        operator = Operator(self.server, self.settings, self.workloads.traffic, crash_after, loses)
        self._loop.call_soon(operator.start)
        return operator

    def restart(
        self, settings: Settings | None = None, crash_after: int | None = None, loses: Losses = frozenset()
    ) -> Operator:
        """One new process instead of those that ran; they are gone without a word."""
        self.settings = settings or self.settings
        for old in self.operators:
            old.runner.queue.close()
        self.operators = [self._operator(crash_after, loses)]
        return self.operators[0]

    def add_operator(self) -> Operator:
        """A second process that thinks it is the only one."""
        self.operators.append(self._operator())
        return self.operators[-1]

    @property
    def operator(self) -> Operator:
        return self.operators[0]

    # ---- Time

    def settle(self, patience: float = PATIENCE_SECONDS) -> None:
        """Until nothing moves; alarms within `patience` seconds from now are waited for."""
        for _ in range(ROUNDS_MAX):
            if self._step():
                continue
            if not self._jump(patience):
                return
            patience -= min(patience, self._jumped)
        raise AssertionError("no fixpoint: the operator goes on writing for ever")

    def _step(self) -> bool:
        self._loop.run_until_complete(self._work())
        assert bugs() == self._bugs, "a reconcile failed unexpectedly: see the log"
        assert not any(operator.api.trespasses for operator in self.operators), "a user's spec was changed"
        if not self.workloads.act():
            return False
        self.clock.tick(STEP_SECONDS)
        return True

    async def _work(self) -> None:
        """All operators at once, taking turns at every request. The first pause lets due alarms ring."""
        await asyncio.sleep(0)
        await asyncio.gather(*(operator.drain() for operator in self.operators))

    def _jump(self, limit: float) -> bool:
        """To the next moment at which something happens by itself, if it is that near."""
        moments = (self._loop.next_alarm(), self.workloads.next_deadline())
        coming = min((m for m in moments if m is not None and m > self.clock.seconds), default=None)
        if coming is None or coming - self.clock.seconds > limit:
            return False
        self._jumped = coming - self.clock.seconds
        self.clock.seconds = coming
        return True

    def advance(self, seconds: float) -> None:
        """Lets time pass, with all that happens meanwhile."""
        end = self.clock.seconds + seconds
        self.settle(0)
        while self.clock.seconds < end and self._jump(end - self.clock.seconds):
            self.settle(0)
        self.clock.seconds = max(self.clock.seconds, end)
        self.settle(0)

    # ---- Users

    def apply(self, *manifests: Manifest) -> None:
        """What `kubectl apply` does."""
        for manifest in manifests:
            self.server.apply(manifest, "kubectl")

    def edit(self, kind: str, name: str, **spec: Any) -> None:
        """Changes fields of spec; None removes one."""
        self.server.merge(Ref(kind, NAMESPACE, name), {"spec": spec})

    def annotate(self, kind: str, name: str, **annotations: str) -> None:
        notes = {f"mainspring.dev/{key}": value for key, value in annotations.items()}
        self.server.merge(Ref(kind, NAMESPACE, name), {"metadata": {"annotations": notes}})

    def delete(self, kind: str, name: str) -> None:
        self.server.delete(Ref(kind, NAMESPACE, name))

    # ---- What is to be seen

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.server.get(Ref(kind, NAMESPACE, name))

    def exists(self, kind: str, name: str) -> bool:
        return Ref(kind, NAMESPACE, name) in self.server.objects

    def status(self, kind: str, name: str) -> Mapping[str, Any]:
        return objects.status(self.get(kind, name))

    def condition(self, kind: str, name: str, condition: str = "Ready") -> tuple[str, str]:
        """Its status and reason."""
        found = objects.condition(self.get(kind, name), condition) or {}
        return str(found.get("status", "")), str(found.get("reason", ""))

    def message(self, kind: str, name: str, condition: str = "Ready") -> str:
        return str((objects.condition(self.get(kind, name), condition) or {}).get("message", ""))

    def names(self, kind: str) -> list[str]:
        return [objects.name(o) for o in self.server.select(kind, NAMESPACE)]

    def made(self, kind: str) -> list[str]:
        """Names of everything of that kind that was ever created."""
        return [r.name for r in self.server.made if r.kind == kind]

    def events(self, about: str, reason: str) -> list[Object]:
        """Events with that reason about the object of that name."""
        every = self.server.select("Event", NAMESPACE)
        return [e for e in every if e["involvedObject"]["name"] == about and e["reason"] == reason]

    def user_specs(self, kinds: Iterable[str] = tuple(BY_KIND)) -> dict[Ref, Any]:
        return {r: o["spec"] for r, o in self.server.objects.items() if r.kind in set(kinds)}

    def freeze(self) -> Snapshot:
        """The cluster as it is now, without any operator's memory."""
        return Snapshot(self.clock.seconds, self.server.copy(), self.workloads.copy(self.server), self.settings)


def bugs() -> float:
    """Failures that nobody foresaw; the operator only counts and logs them."""
    return sum(sample.value for metric in metrics.BUGS.collect() for sample in metric.samples if "total" in sample.name)


@dataclass(frozen=True)
class Snapshot:
    seconds: float
    server: ApiServer
    workloads: Workloads
    settings: Settings

    def thaw(self) -> Simulation:
        """That cluster once more, with an operator that has just started."""
        sim = Simulation(self.settings, operators=0)
        sim.clock.seconds = self.seconds
        sim.server = self.server.copy(sim.clock)
        sim.workloads = self.workloads.copy(sim.server)
        sim.restart()
        return sim
