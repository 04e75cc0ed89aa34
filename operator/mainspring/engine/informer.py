"""Keeping the cache true: one `Intake` through which all changes come, and an `Informer` for each kind.

    listing ──► following ──► the stream ends (5 min, an error, silence) ──► following, from where it was
                    └───────► 410: too much was missed ──► listing; what is no longer there is forgotten

A change is taken over into the cache first and told afterwards. Nothing is told before everything was listed once:
no reconcile ever decides from half a cache.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from mainspring.engine import backoff, metrics
from mainspring.kube import errors
from mainspring.kube.resources import OURS, Resource
from mainspring.kube.store import Store, version
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref

RETRY_LIMIT_SECONDS = 10.0
LOUD_FAILURES = 3
ABSENT_LOOK_SECONDS = 30.0  # for a kind that the cluster need not have
OUR_KINDS = frozenset(resource.kind for resource in OURS)

Events = AsyncGenerator[dict[str, Any], None]
Notice = Callable[[Object], None]
"""Called with every object that changed, after the cache took it over; must not fail or wait."""

log = logging.getLogger("mainspring.informer")


class Intake:
    """The one way by which what the watches deliver comes into the cache."""

    def __init__(self, store: Store, notice: Notice) -> None:
        self.store = store
        self._notice = notice
        self._open = False
        self._versions: dict[str, int] = {}  # of the last list, by kind

    def open(self) -> None:
        """Everything was listed: tells every object of ours once, and from now on every change."""
        self._open = True
        for obj in self.store.all(OUR_KINDS):
            self._notice(obj)

    def change(self, obj: Object) -> None:
        """Told also when the cache knows it already: that is how a write of ours calls for the next reconcile."""
        self.store.put(obj)
        self._tell(obj)

    def listing(self, obj: Object) -> None:
        """An object of a list: told unless nothing has happened to it since the last list of its kind."""
        if self.store.put(obj) or version(obj) > self._versions.get(obj["kind"], 0):
            self._tell(obj)

    def removal(self, obj: Object) -> None:
        self.store.remove(obj)
        self._tell(obj, gone=True)

    def listed(self, kind: str, namespace: str, seen: set[Ref], last: int) -> None:
        """The list of that version is complete: what the cache holds beyond it has gone unnoticed."""
        self._versions[kind] = last
        self.store.tell_served(kind, True)
        for obj in self.store.retain(kind, namespace, seen, last):
            self._tell(obj, gone=True)

    def absent(self, kind: str, namespace: str) -> None:
        """The API server does not know this kind, or no longer; so there are no objects of it."""
        self.store.tell_served(kind, False)
        for obj in self.store.retain(kind, namespace, set(), sys.maxsize):
            self._tell(obj, gone=True)

    def _tell(self, obj: Object, gone: bool = False) -> None:
        metrics.LAST_EVENT.labels(obj["kind"]).set(time.time())
        if obj["kind"] in OUR_KINDS:
            metrics.observe_readiness(obj, gone)
        if self._open:
            self._notice(obj)


class Source(Protocol):
    """The part of the client that is needed here."""

    def pages(self, resource: Resource, namespace: str, selector: str) -> Events: ...

    def watch(self, resource: Resource, namespace: str, selector: str, since: str) -> Events: ...


class Informer:
    """One kind, in one namespace ("": in all). `selector` is applied by the server: what is not ours never comes here."""

    def __init__(
        self, source: Source, intake: Intake, resource: Resource, namespace: str = "", selector: str = ""
    ) -> None:
        self.is_listed = asyncio.Event()
        self.resource = resource
        self._source = source
        self._intake = intake
        self._where = (namespace, selector)
        self._since = ""  # the resourceVersion up to which everything is known; empty: list first

    async def run(self) -> None:
        """Ends only when it is cancelled."""
        failures = 0
        while True:
            try:
                if not self._since:
                    await self.refresh()
                await self._follow()
                failures = 0
            except errors.Gone:
                self._since = ""
            except errors.KubeError as error:
                if self._is_absent(error):
                    await asyncio.sleep(ABSENT_LOOK_SECONDS)
                    continue
                failures += 1
                level = logging.WARNING if failures > LOUD_FAILURES else logging.DEBUG
                log.log(level, "%s: will try again: %s", self.resource.plural, error)
            # Also after a stream that ended well: a server that is going away ends each at once.
            await asyncio.sleep(backoff.delay(failures, limit=RETRY_LIMIT_SECONDS))

    def _is_absent(self, error: errors.KubeError) -> bool:
        """Its CRD is not installed, or was removed: that is no failure, and may change at any time."""
        if not self.resource.optional or not isinstance(error, errors.NotFound):
            return False
        self._intake.absent(self.resource.kind, self._where[0])
        self._since = ""
        self.is_listed.set()
        return True

    async def list_until_done(self) -> None:
        """For a kind whose changes come from elsewhere."""
        for failures in itertools.count(1):
            try:
                await self.refresh()
                break
            except errors.KubeError as error:
                log.info("%s: will be listed again: %s", self.resource.plural, error)
                await asyncio.sleep(backoff.delay(failures, limit=RETRY_LIMIT_SECONDS))

    async def refresh(self) -> None:
        """Reads everything there is."""
        seen: set[Ref] = set()
        last = "0"
        async with aclosing(self._source.pages(self.resource, *self._where)) as pages:
            async for page in pages:
                last = page["metadata"]["resourceVersion"]
                for item in page.get("items") or ():
                    obj = self.resource.complete(item)
                    seen.add(objects.ref(obj))
                    self._intake.listing(obj)
        self._intake.listed(self.resource.kind, self._where[0], seen, int(last))
        self._since = last
        self.is_listed.set()

    async def _follow(self) -> None:
        async with aclosing(self._source.watch(self.resource, *self._where, self._since)) as events:
            async for event in events:
                self._happened(event["type"], event["object"])

    def _happened(self, change: str, obj: Mapping[str, Any]) -> None:
        if change == "ERROR":
            raise errors.from_status(int(obj.get("code", 500)), dict(obj))
        self._since = objects.resource_version(obj)
        if change == "DELETED":
            self._intake.removal(self.resource.complete(obj))
        elif change != "BOOKMARK":
            self._intake.change(self.resource.complete(obj))
