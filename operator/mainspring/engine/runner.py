"""One reconcile, the same for every kind: observe, plan, execute; and what happens when that fails.

    ok                                  the key sleeps until `requeue_after` or the next event
    Conflict, AlreadyExists             the cache was old: again, as soon as the watch has caught up
    Transient                           again after a backoff
    refused (quota, admission, a name)  `Stalled` in status, again after 1 to 5 minutes
    anything else                       a bug: counted, logged with its traceback, again after a backoff

This is the one place that catches every exception: a bug in one object's plan must not stop the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mainspring.engine import backoff, metrics
from mainspring.engine.execute import Executor
from mainspring.engine.workqueue import WorkQueue
from mainspring.kube import errors
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Notice, Plan

WORKERS = 16
REFUSED_FIRST_SECONDS = 60.0
REFUSED_LIMIT_SECONDS = 300.0
RECONCILE_TIMEOUT_SECONDS = 120

log = logging.getLogger("mainspring.engine")


class Controller(Protocol):
    """What a kind provides. `observe` reads, `make_plan` decides and is pure."""

    kind: str

    def keys(self, obj: Object) -> Iterable[Ref]:
        """Which objects of this kind must be looked at when `obj`, of any kind, changed."""
        ...

    async def observe(self, key: Ref) -> Any | None:
        """All that the plan needs, with the object itself as `.object`; None when it is gone."""
        ...

    def make_plan(self, observed: Any, now: datetime) -> Plan: ...


class Outbox(Protocol):
    """Sends notices beside the reconciling, which never waits for it."""

    def put(self, about: Ref, notices: Iterable[Notice], wake: Callable[[Ref], None]) -> None:
        """Calls `wake` when it is known what became of one."""
        ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class Runner:
    def __init__(
        self,
        api: Api,
        store: Store,
        controllers: Iterable[Controller],
        clock: Callable[[], datetime] = utc_now,
        outbox: Outbox | None = None,
    ) -> None:
        self.queue: WorkQueue[Ref] = WorkQueue()
        self._store = store
        self._executor = Executor(api, store)
        self._controllers: Mapping[str, Controller] = {c.kind: c for c in controllers}
        metrics.begin(self._controllers)
        self._failures: dict[Ref, int] = {}
        self._refusals: dict[Ref, tuple[int, datetime]] = {}  # how many, and when the next try is due
        self._clock = clock
        self._outbox = outbox

    def enqueue(self, obj: Object) -> None:
        """Called for every change that a watch delivers; must not fail or wait."""
        for controller in self._controllers.values():
            for key in controller.keys(obj):
                self.queue.add(key)

    def resync(self) -> None:
        """Looks at every object again, without reading anything from the API server."""
        for obj in self._store.all(self._controllers):
            self.enqueue(obj)

    async def work(self) -> None:
        """One worker; ends when the queue is closed."""
        while (key := await self.queue.get()) is not None:
            metrics.QUEUE_DEPTH.set(len(self.queue))
            try:
                await self.step(key)
            finally:
                self.queue.done(key)

    async def step(self, key: Ref) -> None:
        """One reconcile with its consequences for the queue."""
        started = time.monotonic()
        outcome, again = await self._guarded(key)
        metrics.RECONCILE_SECONDS.labels(key.kind, outcome).observe(time.monotonic() - started)
        if again is not None:
            self.queue.add_after(key, again)

    async def _guarded(self, key: Ref) -> tuple[str, float | None]:
        try:
            async with asyncio.timeout(RECONCILE_TIMEOUT_SECONDS):
                return await self.reconcile(key)
        except (errors.Conflict, errors.AlreadyExists) as error:
            log.debug("%s: the cache was old: %s", key, error)
            return "conflict", self._backoff(key)
        except (errors.Transient, errors.NotFound, TimeoutError) as error:
            log.warning("%s: will try again: %s", key, error)
            return "retry", self._backoff(key)
        except Exception:
            metrics.BUGS.labels(key.kind).inc()
            log.exception("%s: unexpected failure, will try again", key)
            return "bug", self._backoff(key)

    async def reconcile(self, key: Ref) -> tuple[str, float | None]:
        """Outcome and the seconds after which to look again."""
        controller = self._controllers[key.kind]
        observed = await controller.observe(key)
        if observed is None:
            self._forget(key)
            return "gone", None
        now = self._clock()
        plan = controller.make_plan(observed, now)
        result = await self._executor.execute(observed.object, plan, now)
        if plan.notices and self._outbox is not None:
            self._outbox.put(key, plan.notices, self.queue.add)
        if result.refused is not None:
            log.warning("%s: refused: %s", key, result.refused)
            return "refused", self._until_next_try(key, now)
        self._forget(key)
        if result.wrote:
            log.info("%s: reconciled", key)
        return "wrote" if result.wrote else "unchanged", plan.requeue_after

    def _backoff(self, key: Ref) -> float:
        self._failures[key] = self._failures.get(key, 0) + 1
        return backoff.delay(self._failures[key])

    def _until_next_try(self, key: Ref, now: datetime) -> float:
        """Grows with the tries that were due, not with every event in between: telling the refusal is one itself."""
        count, due = self._refusals.get(key, (0, now))
        if now >= due:
            count += 1
            due = now + timedelta(seconds=backoff.delay(count, REFUSED_FIRST_SECONDS, REFUSED_LIMIT_SECONDS))
            self._refusals[key] = (count, due)
        return (due - now).total_seconds()

    def _forget(self, key: Ref) -> None:
        self._failures.pop(key, None)
        self._refusals.pop(key, None)
