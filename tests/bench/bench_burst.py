"""A burst of InferenceServices: the operator against a plain client that writes the same objects to the same API server.

    python -m tests.bench.bench_burst [--objects N] [--rounds N]

Both have 16 requests under way at most, and the plain client knows beforehand what it has to write. They take turns, and
the ratio is the median over the rounds, so that a machine that others use too counts little. On a machine that has no
CPU to spare, throughput is CPU per object: the table also shows that of etcd, the API server and the client together.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from mainspring.kube import client
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.common.plan import Plan
from tests.bench import population, stage, table
from tests.bench.stage import Stage
from tests.wiring.operator import Operator

OBJECTS = 1000
ROUNDS = 4
PLAIN, OPERATOR = "plain", "operator"


@dataclass(frozen=True)
class Run:
    """Seconds per object: on the clock, of the client's CPU (or the operator's), and of the servers' CPU."""

    seconds: float
    client_cpu: float
    server_cpu: float

    @property
    def cpu(self) -> float:
        return self.client_cpu + self.server_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with stage.opened() as found:
        operator = _prepare(found)
        each = options.objects // options.rounds
        rounds = [_round(found, operator, range(n * each, (n + 1) * each)) for n in range(options.rounds)]
        _check(found, each * options.rounds)
    _show(options.objects, rounds)


def _prepare(found: Stage) -> Operator:
    for space in (PLAIN, OPERATOR):
        found.add_namespace(space)
    # What the plain client writes is not the operator's business.
    operator = found.start(MAINSPRING_WATCH_NAMESPACES=OPERATOR)
    found.await_champion(OPERATOR)
    return operator


def _round(found: Stage, operator: Operator, numbers: range) -> tuple[Run, Run]:
    work = [(m, population.first_plan(m, found.settings)) for m in found.services(PLAIN, numbers)]
    plain = _measure(found, os.getpid(), len(numbers), lambda: asyncio.run(_write_all(found, work)))
    made = _measure(
        found, operator.process.pid, len(numbers), lambda: found.populate(OPERATOR, len(numbers), numbers[0])
    )
    return plain, made


def _measure(found: Stage, pid: int, count: int, work: Callable[[], None]) -> Run:
    before = time.perf_counter(), stage.cpu_seconds(pid), found.server_cpu_seconds()
    work()
    after = time.perf_counter(), stage.cpu_seconds(pid), found.server_cpu_seconds()
    return Run(*((b - a) / count for a, b in zip(before, after, strict=True)))


async def _write_all(found: Stage, work: list[tuple[Manifest, Plan]]) -> None:
    plans = {objects.name(manifest): plan for manifest, plan in work}
    services = [manifest for manifest, _ in work]
    # It needs no watch to know what it wrote; with one, the API server has the same to do for both.
    async with found.client() as api, stage.statuses(api, services) as seen:
        await stage.spread(services, lambda m: _write(api, m, plans[objects.name(m)]))
        await seen.of(plans)


async def _write(api: client.Client, manifest: Manifest, plan: Plan) -> None:
    made = await api.create(manifest)
    for child in plan.apply:
        await api.create(_owned(child, made))
    await api.apply_status({**population.named(made), "status": plan.status})


def _owned(child: Manifest, owner: Object) -> Manifest:
    return {**child, "metadata": {**child["metadata"], "ownerReferences": [objects.owner_reference(owner)]}}


def _check(found: Stage, count: int) -> None:
    """Both made the same."""
    for space in (PLAIN, OPERATOR):
        for kind in population.CHILDREN:
            made = found.count(kind, space)
            assert made == count, f"{made} of {count} objects of kind {kind} were made in {space}"


def _show(count: int, rounds: list[tuple[Run, Run]]) -> None:
    rows = [_row(name, [pair[i] for pair in rounds], rounds) for i, name in enumerate((PLAIN, OPERATOR))]
    table.show(
        f"{count} InferenceServices, {len(rounds)} rounds (goal: the operator's ratio at least 0.9)",
        ("", "objects/s", "ratio", "client CPU ms/object", "server CPU ms/object", "ratio by CPU"),
        rows,
    )


def _row(name: str, runs: list[Run], rounds: list[tuple[Run, Run]]) -> tuple[object, ...]:
    index = (PLAIN, OPERATOR).index(name)
    return (
        name,
        1 / statistics.median(run.seconds for run in runs),
        statistics.median(pair[0].seconds / pair[index].seconds for pair in rounds),
        1000 * statistics.median(run.client_cpu for run in runs),
        1000 * statistics.median(run.server_cpu for run in runs),
        statistics.median(pair[0].cpu / pair[index].cpu for pair in rounds),
    )


if __name__ == "__main__":
    main()
