"""One process of the operator: the real cache, engine and controllers, on the simulated API server.

Its memory begins empty, and what it reads of the cluster it reads from watches, which may lag behind by kind.
"""

from __future__ import annotations

import asyncio

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY
from mainspring.controllers import registry
from mainspring.engine.runner import Runner
from mainspring.kube import resources
from mainspring.kube.store import Store
from mainspring.kube.webhooks import Webhooks
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings
from tests.sim.api import Losses, SimApi
from tests.sim.outside import SimPoster, SimPrometheus
from tests.sim.server import OUR_KINDS, ApiServer
from tests.sim.traffic import SimServers, Traffic

WATCHED = tuple(resource.kind for resource in (*resources.OURS, *resources.CHILDREN))


class Operator:
    def __init__(
        self,
        server: ApiServer,
        settings: Settings,
        traffic: Traffic,
        crash_after: int | None = None,
        loses: Losses = frozenset(),
    ) -> None:
        self.api = SimApi(server, crash_after, loses)
        self.store = Store()
        self._webhooks = webhooks = Webhooks(self.api, SimPoster(traffic), server.clock.now)
        outside = registry.Outside(SimServers(server, traffic), SimPrometheus(server, traffic), webhooks)
        controllers = registry.build(self.api, self.store, settings, outside)
        self.runner = Runner(self.api, self.store, controllers, server.clock.now, webhooks)
        self.held_back: frozenset[str] = frozenset()  # kinds whose watch delivers nothing for now
        self._server = server
        self._seen = {kind: len(server.log.get(kind, ())) for kind in WATCHED}
        self._seen_version = 0

    def start(self) -> None:
        """The initial list of every kind is in the cache before the first key is looked at."""
        found = [obj for kind in WATCHED for obj in self._server.select(kind) if _is_watched(obj)]
        for obj in found:
            self.store.put(obj)
        for obj in found:
            self.runner.enqueue(obj)

    def deliver(self) -> None:
        """What the watches have to say, but for those that are held back."""
        if self._seen_version == self._server.version and not self.held_back:
            return
        self._seen_version = 0 if self.held_back else self._server.version
        for kind in WATCHED:
            if kind not in self.held_back:
                self._deliver(kind)

    def _deliver(self, kind: str) -> None:
        log = self._server.log.get(kind, [])
        news, self._seen[kind] = log[self._seen[kind] :], len(log)
        for change in news:
            if not _is_watched(change.object):
                continue
            if change.type == "DELETED":
                self.store.remove(change.object)
            else:
                self.store.put(change.object)
            self.runner.enqueue(change.object)

    async def drain(self) -> None:
        """Works until the queue is empty, and everything was sent."""
        await self._work()
        while sending := [*self._webhooks._sending.values()]:
            await asyncio.gather(*sending)
            await self._work()

    async def _work(self) -> None:
        queue = self.runner.queue
        self.deliver()
        while not queue.idle:
            key = await queue.get()
            assert key is not None
            await self.runner.step(key)
            queue.done(key)
            self.deliver()


def _is_watched(obj: Object) -> bool:
    """Children are filtered by label on the server, as the real watches ask."""
    return obj["kind"] in OUR_KINDS or objects.labels(obj).get(LABEL_MANAGED_BY) == "mainspring"
