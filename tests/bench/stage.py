"""The stage of the operator's benchmarks: an API server of their own (no node: pods never run), and clients for it.

    with stage.open() as found:
        operator = found.start("burst")

The operator is a process of its own, so its memory and CPU are its own.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mainspring.kube import client
from mainspring.plan.common import objects
from mainspring.plan.common import settings as installation
from mainspring.plan.common.objects import Ref
from mainspring.plan.common.settings import Settings
from tests import cluster
from tests.apiserver import crds
from tests.apiserver.server import Manifest, Server
from tests.bench import population
from tests.cluster import Profile, wait
from tests.wiring.operator import Operator, environment

CLUSTER = "bench"
OPERATOR_NAMESPACE = "mainspring-system"
CONCURRENCY = 16
PATIENCE_SECONDS = 600.0

T = TypeVar("T")


@dataclass
class Stage:
    kubeconfig: Path
    server: Server
    logs: Path
    _operators: list[Operator] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """Those that the operator is started with."""
        return installation.from_env(environment(self.kubeconfig, OPERATOR_NAMESPACE, 0, {}))

    def start(self) -> Operator:
        """An operator that works."""
        log = self.logs / f"operator-{len(self._operators)}.log"
        operator = Operator(self.kubeconfig, OPERATOR_NAMESPACE, log)
        self._operators.append(operator)
        operator.await_leading(PATIENCE_SECONDS)
        return operator

    def end(self) -> None:
        for operator in self._operators:
            operator.end()

    def add_namespace(self, name: str) -> None:
        """With a Model and its champion."""
        for manifest in (population.namespace(name), population.model(name), population.champion(name)):
            self.server.create(manifest)

    def await_champion(self, name: str) -> None:
        """Until the operator took the champion over."""
        model = population.model(name)

        def missing() -> str | None:
            told = objects.status(self.server.get(model)).get("champion")
            return None if told == population.CHAMPION else f"{name}: the champion is {told}"

        wait.until(missing, PATIENCE_SECONDS)

    def revision(self) -> int:
        """The revision of etcd: every write of anybody raises it by one."""
        answer = self.server.request("GET", "/api/v1/namespaces", query={"limit": "1"})
        return int(answer["metadata"]["resourceVersion"])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[client.Client]:
        """The same thin client that the operator has, in this process."""
        os.environ["KUBECONFIG"] = str(self.kubeconfig)
        found = await client.connect()
        try:
            yield found
        finally:
            await found.close()

    def populate(self, operator: Operator, space: str, count: int, first: int = 0) -> None:
        """Services, and all that the operator makes of them."""
        before = statuses_written(operator)
        asyncio.run(self._create(space, range(first, first + count)))
        await_statuses(operator, before + count)

    async def _create(self, space: str, numbers: Iterable[int]) -> None:
        async with self.client() as api:
            await spread([population.service(space, f"s-{number:04d}") for number in numbers], api.create)

    def count(self, kind: str, space: str) -> int:
        answer = asyncio.run(self._list(kind, space))
        return len(answer)

    async def _list(self, kind: str, space: str) -> list[Ref]:
        async with self.client() as api:
            return [objects.ref(found) for found in await api.list_objects(kind, space)]


@contextmanager
def opened() -> Iterator[Stage]:
    """Everything is new, and gone afterwards."""
    cluster.down(CLUSTER, Profile.APISERVER)
    kubeconfig = cluster.up_apiserver(CLUSTER)
    server = Server.connect(kubeconfig)
    crds.install(server)
    server.create(population.namespace(OPERATOR_NAMESPACE))
    with tempfile.TemporaryDirectory() as logs:
        found = Stage(kubeconfig, server, Path(logs))
        try:
            yield found
        finally:
            found.end()
            cluster.down(CLUSTER, Profile.APISERVER)


def statuses_written(operator: Operator) -> int:
    return int(operator.metrics().total("mainspring_writes_total", kind="InferenceService", what="status"))


def await_statuses(operator: Operator, count: int) -> None:
    """Until the operator wrote that many statuses of services: the last thing that it does for one."""

    def missing() -> str | None:
        found = statuses_written(operator)
        return None if found >= count else f"{found} of {count} statuses were written"

    wait.until(missing, PATIENCE_SECONDS)


async def spread(items: Iterable[Manifest], work: Callable[[Manifest], Awaitable[T]]) -> None:
    """Do it for all, with the operator's concurrency."""
    waiting = iter(items)

    async def one_after_another() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(one_after_another())
