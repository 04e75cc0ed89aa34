"""Whole lives of objects, as lists of what users and the world do. Between two steps everything comes to rest.

Each begins from the same rest: a Model with a champion that is served, made from the first data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from mainspring.api.v1alpha1 import BY_KIND
from tests import builders
from tests.sim.simulation import Simulation, Snapshot
from tests.sim.workloads import HANGS, Ends, Hangs

Step = Callable[[Simulation], None]


@dataclass(frozen=True)
class Wait:
    """Lets time pass. Told again after a crash: waiting longer changes nothing."""

    seconds: float

    def __call__(self, sim: Simulation) -> None:
        sim.advance(self.seconds)


OUR_KINDS = tuple(BY_KIND)
AUC = {"name": "good", "metric": "roc_auc", "minimum": 0.9}
NOT_WORSE = {"name": "not-worse", "metric": "roc_auc", "versusChampion": {"margin": 0.01}}
BY_CPU = {"minReplicas": 2, "maxReplicas": 6, "target": 70}
RETRY = Ends(1, "OutOfLuck", "try again")


def first_loop(sim: Simulation) -> None:
    """Everything at once: data, run, registry and service."""
    sim.apply(builders.dataset(), builders.model(gates=[AUC, NOT_WORSE]), builders.run(), builders.service(replicas=2))


@functools.cache
def _served() -> Snapshot:
    sim = Simulation()
    first_loop(sim)
    sim.settle()
    sim.close()
    return sim.freeze()


def served() -> Simulation:
    """A cluster after the first loop."""
    return _served().thaw()


def new_data(sim: Simulation) -> None:
    sim.workloads.runtime.content["tumours"] = "2"
    sim.annotate("Dataset", "tumours", refresh="now")


def third_data(sim: Simulation) -> None:
    sim.workloads.runtime.content["tumours"] = "3"
    sim.annotate("Dataset", "tumours", refresh="again")


def second_run(sim: Simulation) -> None:
    sim.apply(builders.run("forest-2", seed=2))


def worse_run(sim: Simulation) -> None:
    sim.workloads.runtime.better["tumours-v2"] = -0.2
    sim.apply(builders.run("forest-2", seed=2))


def broken_check(sim: Simulation) -> None:
    sim.workloads.runtime.broken_checks["no-empty"] = 3
    sim.edit("Dataset", "tumours", checks=[{"name": "no-empty", "sql": "SELECT * FROM dataset WHERE radius IS NULL"}])


def failing_run(sim: Simulation) -> None:
    sim.workloads.rule("forest-2-train-1", RETRY)
    sim.apply(builders.run("forest-2", seed=2, ttlAfterFinished="60s"))


def hopeless_run(sim: Simulation) -> None:
    sim.workloads.rule("forest-2-train-*", Ends(42, "InvalidTarget", "no such column"))
    sim.apply(builders.run("forest-2", seed=2))


def hanging_run(sim: Simulation) -> None:
    sim.workloads.rule("forest-2-train-*", HANGS)
    sim.apply(builders.run("forest-2", seed=2))


def let_it_run(sim: Simulation) -> None:
    sim.workloads.rule("forest-2-train-*", None)


def unsigned_run(sim: Simulation) -> None:
    sim.workloads.rule("tumours-v2-eval-*", Ends(1, "SignatureMissing", "there is no model.sig at s3://x"))
    sim.apply(builders.run("forest-2", seed=2))


def signed(sim: Simulation) -> None:
    sim.workloads.rule("tumours-v2-eval-*", None)


def pin(version: str | None) -> Step:
    return lambda sim: sim.edit("Model", "tumours", aliases={"champion": version} if version else None)


def serving(version: str, behaviour: Ends | Hangs | None) -> Step:
    return lambda sim: sim.workloads.rule(f"serve-{version}", behaviour)


def proven(deadline: str = "24h") -> Step:
    """From here on the service decides who becomes champion."""
    promotion = {"provenBy": "tumours", "candidateDeadline": deadline}
    return lambda sim: sim.edit("Model", "tumours", promotion=promotion)


def third_run(sim: Simulation) -> None:
    sim.apply(builders.run("forest-3", seed=3))


def edit(kind: str, name: str, **spec: object) -> Step:
    return lambda sim: sim.edit(kind, name, **spec)


def delete(kind: str, name: str) -> Step:
    return lambda sim: sim.delete(kind, name)


def canary(**more: object) -> Step:
    """Two steps; with the traffic of the simulation each needs about its time."""
    return edit("InferenceService", "tumours", rollout={"steps": [10, 50], "stepDuration": "30s", **more})


def slow_canary(**more: object) -> Step:
    """The same with the longest time between two looks: each is a write after which the operator is killed."""
    return canary(stepDuration="75s", **more)


def requests_that_fail(version: str, rate: float) -> Step:
    return lambda sim: sim.workloads.traffic.splits.error_rates.update({version: rate})


def no_requests(sim: Simulation) -> None:
    sim.workloads.traffic.splits.requests_per_second = 0.0


def say(word: str) -> Step:
    """What `kubectl mainspring promote` and `abort` do."""

    def annotate(sim: Simulation) -> None:
        revision = sim.status("InferenceService", "tumours").get("candidateRevision", "none")
        sim.annotate("InferenceService", "tumours", **{word: str(revision)})

    return annotate


def BEGIN(sim: Simulation) -> None:  # noqa: N802
    """What comes before this belongs to other stories: no kill is tried there."""


STORIES: dict[str, tuple[Step, ...]] = {
    "new data and a better model": (new_data, second_run),
    "a worse model is rejected": (worse_run,),
    "a check fails": (broken_check,),
    "an attempt fails and its Jobs are removed": (failing_run, Wait(20), Wait(80)),
    "a run fails for good": (hopeless_run, Wait(60)),
    "suspend and resume": (
        hanging_run,
        edit("TrainingRun", "forest-2", suspend=True),
        let_it_run,
        edit("TrainingRun", "forest-2", suspend=False),
    ),
    "rollback and back to automation": (second_run, BEGIN, pin("tumours-v1"), pin(None)),
    "a model that cannot load": (
        serving("tumours-v2", Ends(3, "ModelNotLoadable", "unknown type")),
        second_run,
        serving("tumours-v2", None),
        Wait(60),
    ),
    "signatures are asked for, and one is missing for a while": (
        edit("Model", "tumours", verification={"publicKeySecret": "model-signing"}),
        unsigned_run,
        BEGIN,
        signed,
        Wait(60),
    ),
    "stop and start": (
        edit("InferenceService", "tumours", stop=True),
        edit("InferenceService", "tumours", stop=False, replicas=3),
    ),
    "an autoscaler and a route come, go with a new version, and are taken away": (
        edit("InferenceService", "tumours", replicas=None, autoscaling=BY_CPU, expose={"gateway": {"name": "public"}}),
        second_run,
        edit("InferenceService", "tumours", replicas=3, autoscaling=None, expose=None),
    ),
    "other limits of the server, with which a load hangs until there is a new version": (
        lambda sim: sim.workloads.rule("serve-tumours-v1", HANGS),
        edit("InferenceService", "tumours", server={"requestTimeout": "30s", "maxQueue": 10}),
        second_run,
    ),
    "a canary is promoted": (slow_canary(), BEGIN, second_run, Wait(270)),
    "a canary is rolled back": (slow_canary(), requests_that_fail("tumours-v2", 0.2), BEGIN, second_run, Wait(270)),
    "a canary is superseded": (
        slow_canary(),
        serving("tumours-v2", HANGS),
        second_run,
        BEGIN,
        lambda sim: sim.apply(builders.run("forest-3", seed=3)),
        Wait(270),
    ),
    "a candidate that breaks, and one that a person takes": (
        slow_canary(),
        serving("tumours-v2", Ends(3, "ModelNotLoadable", "unknown type")),
        second_run,
        Wait(20),
        no_requests,
        lambda sim: sim.apply(builders.run("forest-3", seed=3)),
        say("promote"),
        Wait(30),
    ),
    "a route has the shares of a canary, which a person aborts": (
        edit(
            "InferenceService",
            "tumours",
            runtime={"image": "registry.example.org/server:1"},
            expose={"gateway": {"name": "public"}},
        ),
        Wait(30),
        canary(stepDuration="10m"),
        second_run,
        BEGIN,
        say("abort"),
        Wait(30),
    ),
    "a shadow is promoted": (slow_canary(strategy="Shadow"), BEGIN, second_run, Wait(120)),
    "versions that are not needed go": (
        second_run,
        edit("Model", "tumours", retain=1),
        BEGIN,
        third_run,
    ),
    "a version is proved by the service, and others follow": (
        proven(),
        lambda sim: sim.apply(builders.service("other")),
        BEGIN,
        second_run,
    ),
    "a version is rejected by the service, and the next one is not": (
        proven(),
        serving("tumours-v2", Ends(3, "ModelNotLoadable", "unknown type")),
        BEGIN,
        second_run,
        third_run,
    ),
    "the service comes to no verdict, and a newer version waits": (
        proven("60s"),
        serving("tumours-v2", HANGS),
        second_run,
        BEGIN,
        third_run,
        Wait(90),
    ),
    "a pin while a version is being proved": (
        proven(),
        serving("tumours-v2", HANGS),
        second_run,
        BEGIN,
        pin("tumours-v1"),
        pin(None),
    ),
    "the service that proves is deleted and comes back": (
        proven(),
        serving("tumours-v2", HANGS),
        second_run,
        BEGIN,
        delete("InferenceService", "tumours"),
        serving("tumours-v2", None),
        lambda sim: sim.apply(builders.service(replicas=2)),
    ),
    "a canary decides who is champion": (slow_canary(), proven(), BEGIN, second_run, Wait(270)),
    "a canary rejects a version, and the next one is promoted": (
        slow_canary(),
        proven(),
        requests_that_fail("tumours-v2", 0.2),
        BEGIN,
        second_run,
        third_run,
        Wait(340),
    ),
    "data that is not needed goes": (edit("Dataset", "tumours", retain=1), new_data, third_data),
    "deleting while running": (hanging_run, delete("TrainingRun", "forest-2"), delete("InferenceService", "tumours")),
}


def change(sim: Simulation) -> None:
    """The world changes; new data tells of it, and whoever learns from that knows it."""
    sim.workloads.traffic.change(sim.server)
    sim.workloads.traffic.versions_that_know.add("tumours-v2")
    sim.workloads.runtime.content["tumours"] = "2"
