"""A burst of InferenceServices: the operator against a plain client that writes the same objects to the same API server.

    python -m tests.bench burst [--objects N]

Both have 16 requests under way at most. The plain client knows beforehand what it has to write. Its run is made twice,
before and after the operator's, so that a machine that becomes slower meanwhile does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass

from mainspring.kube import client
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.common.plan import Plan
from tests.bench import population, stage, table
from tests.bench.stage import Stage

OBJECTS = 1000
CHILDREN = ("ServiceAccount", "Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment")


@dataclass(frozen=True)
class Run:
    name: str
    objects: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.objects / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--objects", type=int, default=OBJECTS)
    count = parser.parse_args().objects
    with stage.opened() as found:
        runs = [plain(found, "plain-before", count), operator(found, count), plain(found, "plain-after", count)]
    limit = (runs[0].rate + runs[2].rate) / 2
    rows = [
        (run.name, run.rate, run.rate / limit, 1000 * run.seconds / run.objects, 1000 * run.cpu_seconds / run.objects)
        for run in runs
    ]
    table.show(
        f"{count} InferenceServices in one burst (goal: the operator's ratio at least 0.9)",
        ("", "objects/s", "ratio to plain", "ms/object", "client CPU ms/object"),
        rows,
    )


def plain(found: Stage, space: str, count: int) -> Run:
    """The services and their children, one service after another in each of 16 tasks."""
    found.add_namespace(space)
    work = [(manifest, population.first_plan(manifest, found.settings)) for manifest in services(space, count)]
    return asyncio.run(_plain(found, space, work))


def services(space: str, count: int) -> list[Manifest]:
    return [population.service(space, f"s-{number:04d}") for number in range(count)]


async def _plain(found: Stage, space: str, work: list[tuple[Manifest, Plan]]) -> Run:
    async with found.client() as api:
        started, cpu = time.perf_counter(), time.process_time()
        plans = {objects.name(manifest): plan for manifest, plan in work}
        await stage.spread((manifest for manifest, _ in work), lambda m: _write(api, m, plans[objects.name(m)]))
        return Run(space, len(work), time.perf_counter() - started, time.process_time() - cpu)


async def _write(api: client.Client, manifest: Manifest, plan: Plan) -> None:
    made = await api.create(manifest)
    for child in plan.apply:
        await api.create(_owned(child, made))
    await api.apply_status({**_named(made), "status": plan.status})


def _owned(child: Manifest, owner: Object) -> Manifest:
    return {**child, "metadata": {**child["metadata"], "ownerReferences": [objects.owner_reference(owner)]}}


def _named(made: Object) -> Manifest:
    keys = ("name", "namespace", "resourceVersion")
    metadata = {key: made["metadata"][key] for key in keys}
    return {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": metadata}


def operator(found: Stage, count: int) -> Run:
    """The client writes the services alone; the rest is the operator's work."""
    space = "operator"
    found.add_namespace(space)
    process = found.start()
    found.await_champion(space)
    cpu = process.metrics().total("process_cpu_seconds_total")
    started = time.perf_counter()
    found.populate(process, space, count)
    seconds = time.perf_counter() - started
    spent = process.metrics().total("process_cpu_seconds_total") - cpu
    process.terminate()
    for kind in CHILDREN:
        made = found.count(kind, space)
        assert made == count, f"{made} of {count} objects of kind {kind} were made"
    return Run(space, count, seconds, spent)


if __name__ == "__main__":
    main()
