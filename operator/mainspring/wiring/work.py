"""What the leader does: fill the cache, then reconcile until it is told to stop.

Order of the end: watches stop, workers finish what they hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mainspring.controllers import registry, tenants
from mainspring.controllers.registry import Outside
from mainspring.engine import runner as engine
from mainspring.engine.informer import OUR_KINDS, Intake
from mainspring.kube import client
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings
from mainspring.wiring import watching

RESYNC_SECONDS = 600.0
STOP_SECONDS = 10.0

log = logging.getLogger("mainspring.work")


class Work:
    def __init__(
        self, api: client.Client, store: Store, settings: Settings, namespaces: tenants.Tenants, outside: Outside
    ) -> None:
        self._settings = settings
        self._namespaces = namespaces
        controllers = registry.build(api, store, settings, outside)
        self._runner = engine.Runner(api, store, controllers, outbox=outside.webhooks)
        self._intake = Intake(store, self._notice)
        self._ours, self._children = watching.build_informers(api, self._intake, settings)

    def _notice(self, obj: Object) -> None:
        self._runner.enqueue(obj)
        if obj["kind"] in OUR_KINDS:
            self._namespaces.notice(objects.namespace(obj))

    async def run(self, filled: asyncio.Event, listen: Callable[[], None], stop: asyncio.Event) -> None:
        """Sets `filled` when the cache is, before any worker begins. `listen` takes the signals (back)."""
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(informer.run()) for informer in self._children]
            if await before(stop, self._fill()):
                filled.set()
                self._intake.open()
                await self._reconcile(listen, stop)
            for task in following:
                task.cancel()

    async def _fill(self) -> None:
        async with asyncio.TaskGroup() as group:
            for informer in self._ours:
                group.create_task(informer.list_until_done())
            for informer in self._children:
                group.create_task(informer.is_listed.wait())

    async def _reconcile(self, listen: Callable[[], None], stop: asyncio.Event) -> None:
        """Until `stop`, or until kopf cannot go on."""
        missed, begun = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            workers = {group.create_task(self._runner.work()) for _ in range(engine.WORKERS)}
            workers.add(group.create_task(self._namespaces.work()))
            others = {group.create_task(self._read_anew(missed)), group.create_task(_listen_after(begun, listen))}
            # The last task to begin and to end: kopf takes all that begin after it for its own, and ends them too.
            kopf = group.create_task(watching.follow_ours(self._intake, self._settings, missed.set, begun, stop))
            await before(stop, asyncio.wait({kopf}))
            log.info("stopping")
            await self._finish(workers)
            for task in (*others, kopf):
                task.cancel()

    async def _finish(self, workers: set[asyncio.Task[None]]) -> None:
        self._runner.queue.close()
        self._namespaces.queue.close()
        _, late = await asyncio.wait(workers, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()

    async def _read_anew(self, missed: asyncio.Event) -> None:
        """Now and then, and when a watch has missed something: our objects are listed, and each is looked at."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(missed.wait(), RESYNC_SECONDS)
            missed.clear()
            for informer in self._ours:
                await informer.list_until_done()
            self._runner.resync()
            self._namespaces.resync()


async def _listen_after(begun: asyncio.Event, listen: Callable[[], None]) -> None:
    """kopf takes the process's signals when it begins."""
    await begun.wait()
    listen()


async def before(stop: asyncio.Event, awaitable: Awaitable[object]) -> bool:
    """Runs it until it is done or `stop` is set; True if it was done."""
    task, stopped = asyncio.ensure_future(awaitable), asyncio.ensure_future(stop.wait())
    done, pending = await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for other in pending:
        other.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if task in done:
        task.result()
    return task in done
