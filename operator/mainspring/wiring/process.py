"""The operator's process: start, take the Lease, work, release the Lease for a successor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from mainspring.controllers import registry, tenants
from mainspring.controllers.registry import Outside
from mainspring.engine import runner as engine
from mainspring.engine.leader import Leader
from mainspring.kube import client
from mainspring.kube.outgoing import Outgoing
from mainspring.kube.prometheus import HttpPrometheus
from mainspring.kube.servers import HttpServers
from mainspring.kube.store import Store
from mainspring.kube.storeadmin import StoreAdmin
from mainspring.kube.webhooks import Webhooks
from mainspring.plan.common.settings import Settings
from mainspring.wiring import probes, watching, work

LEASE_NAME = "mainspring-operator"


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
    _listen(stop)
    server = await probes.serve(progress.is_ready, port)
    api = await client.connect()
    try:
        await _lead(api, settings, stop, progress)
    finally:
        await api.close()
        await server.cleanup()


def _listen(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _lead(api: client.Client, settings: Settings, stop: asyncio.Event, progress: Progress) -> None:
    identity = f"{os.environ.get('HOSTNAME') or socket.gethostname()}-{os.getpid()}"
    leader = Leader(api, settings.namespace, f"{LEASE_NAME}-{settings.release}", identity)
    progress.standby = True
    if not await work.before(stop, leader.acquire()):
        return
    progress.standby = False
    try:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(_keep(leader, stop))
            await _work(api, settings, stop, progress)
            keeping.cancel()
    finally:
        await leader.release()


async def _keep(leader: Leader, stop: asyncio.Event) -> None:
    await leader.keep()
    stop.set()


async def _work(api: client.Client, settings: Settings, stop: asyncio.Event, progress: Progress) -> None:
    if not await work.before(stop, watching.await_kinds(api)):
        return
    store = Store(registry.INDEXED_LABELS)
    async with aiohttp.ClientSession() as session, _outside(api, settings, session) as outside:
        namespaces = await _tenants(api, store, settings, session)
        doing = work.Work(api, store, settings, namespaces, outside)
        await doing.run(progress.synced, partial(_listen, stop), stop)


@asynccontextmanager
async def _outside(api: client.Client, settings: Settings, session: aiohttp.ClientSession) -> AsyncIterator[Outside]:
    """Our own servers by the one session, addresses that users name by another one, which is more careful."""
    requests = Outgoing(settings.outgoing_hosts, settings.ca_bundle)
    webhooks = Webhooks(api, requests, engine.utc_now)
    try:
        yield Outside(HttpServers(session), HttpPrometheus(requests), webhooks)
    finally:
        await webhooks.close()
        await requests.close()


async def _tenants(
    api: client.Client, store: Store, settings: Settings, session: aiohttp.ClientSession
) -> tenants.Tenants:
    if not settings.embedded_store:
        return tenants.Tenants(api, store, settings, None, None)
    root = await tenants.root_credentials(api, settings)
    return tenants.Tenants(api, store, settings, StoreAdmin(settings.store_admin_endpoint, root, session), root)
