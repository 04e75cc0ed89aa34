"""What a watch of the benchmark itself saw, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from mainspring.kube import client, resources
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object

Named = Callable[[Object], str]
"""The service that an object is about; nothing while the object is not yet as it is waited for."""


@dataclass
class Sightings:
    """When something about a service was first seen, by the service's name."""

    arrived: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def of(self, names: Iterable[str]) -> float:
        """When the last of them was seen; waits for it."""
        wanted = set(names)
        while not wanted <= self.arrived.keys():
            self._news.clear()
            await self._news.wait()
        return max(self.arrived[name] for name in wanted)

    def see(self, name: str) -> None:
        if name and name not in self.arrived:
            self.arrived[name] = time.perf_counter()
            self._news.set()


@asynccontextmanager
async def watching(api: client.Client, kind: str, space: str, named: Named) -> AsyncIterator[Sightings]:
    """From now on, until the end of the block."""
    resource, found = resources.BY_KIND[kind], Sightings()
    since = (await api.request("GET", resource.path(space), kind, query={"limit": "1"}))["metadata"]["resourceVersion"]

    async def follow() -> None:
        async with aclosing(api.watch(resource, space, "", since)) as events:
            async for event in events:
                if event["type"] != "BOOKMARK":
                    found.see(named(event["object"]))

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        yield found
        following.cancel()


def service_with_status(service: Object) -> str:
    return objects.name(service) if objects.condition(service, "Ready") else ""


def deployment_of_service(deployment: Object) -> str:
    return str((objects.controller(deployment) or {}).get("name", ""))
