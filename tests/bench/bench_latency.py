"""From `kubectl apply` of an InferenceService to its Deployment and to its first status, one after another.

    python -m tests.bench.bench_latency [--applies N]

Both are seen by watches, as a user's tools would see them. The plain client does the least that has to be done: it
applies the service and creates the Deployment itself.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from mainspring.kube import client
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest
from tests.bench import population, sightings, stage, table
from tests.bench.stage import Stage

APPLIES = 200
PLAIN, OPERATOR = "plain", "operator"
Apply = Callable[[Stage, client.Client, Manifest], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--applies", type=int, default=APPLIES)
    applies = parser.parse_args().applies
    with stage.opened() as found:
        for space in (PLAIN, OPERATOR):
            found.add_namespace(space)
        plain = asyncio.run(_measure(found, PLAIN, applies, _plain))
        found.start(MAINSPRING_WATCH_NAMESPACES=OPERATOR)
        found.await_champion(OPERATOR)
        operator = asyncio.run(_measure(found, OPERATOR, applies, _apply))
    rows = [_row("plain client: Deployment", plain[0]), _row("operator: Deployment", operator[0])]
    rows += [_row("plain client: status", plain[1]), _row("operator: status", operator[1])]
    table.show(
        f"{applies} applies, one after another, in ms (goal: operator's Deployment p50 at most 30)",
        ("from apply to", "p50", "p90", "p99"),
        rows,
    )


async def _measure(found: Stage, space: str, applies: int, apply: Apply) -> tuple[list[float], list[float]]:
    """Seconds to the Deployment, and to the first status."""
    taken = []
    async with (
        found.client() as api,
        sightings.watching(api, "Deployment", space, sightings.deployment_of_service) as deployments,
        sightings.watching(api, "InferenceService", space, sightings.service_with_status) as statuses,
    ):
        for number in range(applies):
            manifest = population.service(space, f"s-{number:04d}")
            started, name = time.perf_counter(), objects.name(manifest)
            await apply(found, api, manifest)
            taken.append((await deployments.of([name]) - started, await statuses.of([name]) - started))
    return [pair[0] for pair in taken], [pair[1] for pair in taken]


async def _apply(_: Stage, api: client.Client, manifest: Manifest) -> None:
    await api.apply(manifest, "kubectl")


async def _plain(found: Stage, api: client.Client, manifest: Manifest) -> None:
    made = await api.apply(manifest, "kubectl")
    plan = population.first_plan(made, found.settings)
    (deployment,) = [child for child in plan.apply if child["kind"] == "Deployment"]
    await api.create(deployment)
    await api.apply_status({**population.named(made), "status": plan.status})


def _row(name: str, seconds: list[float]) -> tuple[str, float, float, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return name, 1000 * cuts[49], 1000 * cuts[89], 1000 * cuts[98]


if __name__ == "__main__":
    main()
