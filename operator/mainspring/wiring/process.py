"""The operator's process: start, take the Lease, fill the cache, work, stop in order.

Order of the end: watches stop, workers finish what they hold, then the Lease is released for a successor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import kopf

from mainspring.controllers import registry, tenants
from mainspring.engine import runner as engine
from mainspring.engine.leader import Leader
from mainspring.kube import client
from mainspring.kube.store import Store
from mainspring.kube.storeadmin import StoreAdmin
from mainspring.plan.common.settings import Settings
from mainspring.wiring import probes, watching

RESYNC_SECONDS = 600.0
STOP_SECONDS = 10.0
LEASE_NAME = "mainspring-operator"

log = logging.getLogger("mainspring.process")


@dataclass
class Progress:
    """How far the start has come, for the readiness probe."""

    standby: bool = False
    synced: asyncio.Event = field(default_factory=asyncio.Event)

    def is_ready(self) -> bool:
        return self.standby or self.synced.is_set()


async def run(settings: Settings, port: int = probes.PORT) -> None:
    """Until SIGTERM or SIGINT, or until the Lease is lost."""
    stop, progress = asyncio.Event(), Progress()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await probes.serve(progress.is_ready, port)
    api = await client.connect()
    try:
        await _lead(api, settings, stop, progress)
    finally:
        await api.close()
        await server.cleanup()


async def _lead(api: client.Client, settings: Settings, stop: asyncio.Event, progress: Progress) -> None:
    identity = f"{os.environ.get('HOSTNAME') or socket.gethostname()}-{os.getpid()}"
    leader = Leader(api, settings.namespace, f"{LEASE_NAME}-{settings.release}", identity)
    progress.standby = True
    if not await _first(leader.acquire(), stop):
        return
    progress.standby = False
    try:
        await _work(api, settings, leader, stop, progress)
    finally:
        await leader.release()


async def _first(awaitable: Any, stop: asyncio.Event) -> bool:
    """Runs until done or until told to stop; True if it was done."""
    task, stopped = asyncio.ensure_future(awaitable), asyncio.ensure_future(stop.wait())
    done, pending = await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for other in pending:
        other.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if task in done:
        task.result()
    return task in done


async def _work(
    api: client.Client, settings: Settings, leader: Leader, stop: asyncio.Event, progress: Progress
) -> None:
    await watching.await_kinds(api)
    store = Store()
    runner = engine.Runner(api, store, registry.build(api, store, settings))
    async with _tenants(api, store, settings) as namespaces:

        def notice(obj: Mapping[str, Any]) -> None:
            progress.synced.set()
            runner.enqueue(obj)
            if obj["kind"] in watching.OUR_KINDS:
                namespaces.notice(obj["metadata"]["namespace"])

        watch_stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(settings, store, notice, watch_stop, progress))
            workers = [group.create_task(runner.work()) for _ in range(engine.WORKERS)]
            workers.append(group.create_task(namespaces.work()))
            resync = group.create_task(_resync(runner))
            await _first(_any_ends(leader.keep(), watch), stop)
            log.info("stopping")
            watch_stop.set()
            resync.cancel()
            runner.queue.close()
            namespaces.queue.close()
            await asyncio.wait(workers, timeout=STOP_SECONDS)


async def _any_ends(keeping: Any, watch: asyncio.Task[None]) -> None:
    keep = asyncio.ensure_future(keeping)
    try:
        await asyncio.wait({keep, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        keep.cancel()


async def _watch(
    settings: Settings, store: Store, notice: watching.Notice, stop: asyncio.Event, progress: Progress
) -> None:
    ready = asyncio.Event()
    marker = asyncio.create_task(_mark_synced(ready, progress))
    try:
        await kopf.operator(
            registry=watching.build_registry(store, notice),
            settings=watching.build_settings(),
            standalone=True,
            # kopf would ask the system for the user's name, and a container's user has none.
            identity=cast(Any, "mainspring"),
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )
    finally:
        marker.cancel()


async def _mark_synced(ready: asyncio.Event, progress: Progress) -> None:
    """An empty cluster has nothing to list: being connected is all there is to wait for."""
    await ready.wait()
    progress.synced.set()


async def _resync(runner: engine.Runner) -> None:
    while True:
        await asyncio.sleep(RESYNC_SECONDS)
        runner.resync()


@asynccontextmanager
async def _tenants(api: client.Client, store: Store, settings: Settings) -> AsyncIterator[tenants.Tenants]:
    if not settings.embedded_store:
        yield tenants.Tenants(api, store, settings, None, None)
        return
    root = await tenants.root_credentials(api, settings)
    async with aiohttp.ClientSession() as session:
        admin = StoreAdmin(settings.store_admin_endpoint, root, session)
        yield tenants.Tenants(api, store, settings, admin, root)
