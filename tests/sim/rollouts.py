"""What is to be seen of the rollouts of the service `tumours`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainspring.api.v1alpha1.common import LABEL_REVISION
from mainspring.plan.common import objects
from tests.sim import stories
from tests.sim.simulation import Simulation

SERVICE = ("InferenceService", "tumours")


def second_version(sim: Simulation, seconds: float = 0) -> None:
    stories.second_run(sim)
    sim.settle()
    sim.advance(seconds)


def status(sim: Simulation) -> dict[str, Any]:
    return dict(sim.status(*SERVICE))


def rollout(sim: Simulation) -> dict[str, Any]:
    return dict(status(sim).get("rollout") or {})


def outcomes(sim: Simulation) -> list[tuple[str, str]]:
    return [(r["version"], r["outcome"]) for r in status(sim)["rollouts"]]


def sizes(sim: Simulation) -> dict[str, int]:
    every = sim.server.select("Deployment")
    return {objects.annotations_of(d)["mainspring.dev/model-version"]: d["spec"]["replicas"] for d in every}


def selected(sim: Simulation) -> str:
    wanted = sim.get("Service", "tumours")["spec"]["selector"][LABEL_REVISION]
    (found,) = [d for d in sim.server.select("Deployment") if objects.labels(d)[LABEL_REVISION] == wanted]
    return str(objects.annotations_of(found)["mainspring.dev/model-version"])


def seen(sim: Simulation, seconds: int, look: Callable[[Simulation], Any]) -> list[Any]:
    """What it comes to, one after another."""
    found: list[Any] = []
    for _ in range(seconds):
        sim.advance(1)
        if (value := look(sim)) is not None and found[-1:] != [value]:
            found.append(value)
    return found


def weights(sim: Simulation, seconds: int) -> list[int]:
    return seen(sim, seconds, lambda s: rollout(s).get("weight"))
