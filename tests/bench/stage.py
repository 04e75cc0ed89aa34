"""The stage of the operator's benchmarks: an API server of their own (no node: pods never run), and clients for it.

    with stage.open() as found:
        operator = found.start("burst")

The operator is a process of its own, so its memory and CPU are its own.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mainspring.kube import client, resources
from mainspring.plan.common import objects
from mainspring.plan.common import settings as installation
from mainspring.plan.common.settings import Settings
from tests import cluster
from tests.apiserver import crds
from tests.apiserver.server import Manifest, Server
from tests.bench import population, sightings
from tests.bench.sightings import Sightings
from tests.cluster import Profile, supervise, wait
from tests.cluster.config import Cluster
from tests.wiring.operator import Metrics, Operator, environment

CLUSTER = "bench"
OPERATOR_NAMESPACE = "mainspring-system"
CONCURRENCY = 16
PATIENCE_SECONDS = 600.0
# Longer than kopf's tasks live on after their last event.
QUIET_SECONDS = 6.0
QUIET_CPU_SECONDS = 0.1

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

    def start(self, **settings: str) -> Operator:
        """An operator that works."""
        log = self.logs / f"operator-{len(self._operators)}.log"
        operator = Operator(self.kubeconfig, OPERATOR_NAMESPACE, log, **settings)
        self._operators.append(operator)
        operator.await_leading(PATIENCE_SECONDS)
        return operator

    def server_cpu_seconds(self) -> float:
        """CPU seconds of etcd and of the API server; 0 where they are not processes of ours."""
        cluster_ = Cluster(CLUSTER, Profile.APISERVER)
        found = [supervise.running(cluster_, name) for name in ("etcd", "kube-apiserver")]
        return sum(cpu_seconds(process.pid) for process in found if process)

    def end(self) -> None:
        for operator in self._operators:
            operator.end()

    def add_namespace(self, name: str) -> None:
        """With a Model and its champion."""
        for manifest in (population.namespace(name), population.model(name), population.champion(name)):
            self.server.create(manifest)

    def await_champion(self, name: str) -> None:
        """Until the operator took the champion over."""
        wait.until(lambda: population.missing_champion(self.server, name), PATIENCE_SECONDS)

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

    def serve(self, space: str, count: int) -> Operator:
        """An operator with so many services in a namespace of their own."""
        self.add_namespace(space)
        operator = self.start()
        self.await_champion(space)
        self.populate(space, count)
        return operator

    def populate(self, space: str, count: int, first: int = 0) -> None:
        """Services, and all that the operator makes of them: its status is the last thing that it writes."""
        asyncio.run(self._populate(self.services(space, range(first, first + count))))

    async def _populate(self, services: list[Manifest]) -> None:
        if not services:
            return
        async with self.client() as api, statuses(api, services) as seen:
            await spread(services, api.create)
            await seen.of(map(objects.name, services))

    @staticmethod
    def services(space: str, numbers: Iterable[int]) -> list[Manifest]:
        return [population.service(space, f"s-{number:04d}") for number in numbers]

    def count(self, kind: str, space: str) -> int:
        """Objects of that kind."""
        path = resources.BY_KIND[kind].path(space)
        answer = self.server.request("GET", path, query={"limit": "1"})
        return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount", 0))


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


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def statuses(api: client.Client, services: Sequence[Manifest]) -> AbstractAsyncContextManager[Sightings]:
    """When each of these services, all of one namespace, was seen with a status."""
    space = objects.namespace(services[0])
    return sightings.watching(api, "InferenceService", space, sightings.service_with_status)


def memory_mib(told: Metrics) -> float:
    """Resident memory."""
    return told.total("process_resident_memory_bytes") / 2**20


def await_quiet(operator: Operator) -> None:
    """Until it has hardly used the CPU for some time. Asking itself would keep it busy."""
    seen = [(time.monotonic(), cpu_seconds(operator.process.pid))]

    def missing() -> str | None:
        now, used = time.monotonic(), cpu_seconds(operator.process.pid)
        if used - seen[-1][1] > QUIET_CPU_SECONDS:
            seen.append((now, used))
        quiet = now - seen[-1][0]
        return None if quiet > QUIET_SECONDS else f"the operator was at work {quiet:.1f} s ago"

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
