"""The API server as the operator sees it, with what can go wrong between the two.

Every request gives other tasks a chance to run, as the network does. `crash_after` ends the process after so many
writes; `loses` says of which writes the answer is lost: they happened, but the operator is told that they failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Any

from mainspring.api.v1alpha1.common import FIELD_MANAGER
from mainspring.kube import errors
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object, Ref
from tests.sim.server import OUR_KINDS, ApiServer

Losses = Container[int]


class Crash(BaseException):
    """The operator was killed: nothing of it goes on, its memory is lost."""


class SimApi:
    def __init__(self, server: ApiServer, crash_after: int | None = None, loses: Losses = frozenset()) -> None:
        self._server = server
        self._crash_after = crash_after
        self._loses = loses
        self.writes: list[str] = []  # e.g. "create Job lab/forest-train-1"
        self.trespasses: list[str] = []  # writes that changed a spec of ours, which belongs to users
        self.after_write: Callable[[], None] = lambda: None

    async def get(self, target: Ref) -> Object:
        await asyncio.sleep(0)
        return self._server.get(target)

    async def list_objects(self, kind: str, namespace: str = "", **query: str) -> list[Object]:
        await asyncio.sleep(0)
        return [o for o in self._server.select(kind, namespace) if _is_selected(o, query)]

    async def create(self, manifest: Manifest) -> Object:
        await asyncio.sleep(0)
        return self._wrote("create", objects.ref(manifest), self._server.create(manifest, FIELD_MANAGER))

    async def apply(self, manifest: Manifest, field_manager: str = FIELD_MANAGER) -> Object:
        await asyncio.sleep(0)
        target = objects.ref(manifest)
        before = self._server.objects.get(target)
        after = self._server.apply(manifest, field_manager)
        if target.kind in OUR_KINDS and before is not None and objects.spec(before) != objects.spec(after):
            self.trespasses.append(str(target))
        return self._wrote("apply", target, after)

    async def apply_status(self, manifest: Manifest) -> Object:
        await asyncio.sleep(0)
        return self._wrote("status", objects.ref(manifest), self._server.apply_status(manifest, FIELD_MANAGER))

    async def merge(self, target: Ref, patch: Manifest) -> Object:
        await asyncio.sleep(0)
        return self._wrote("merge", target, self._server.merge(target, patch))

    async def delete(self, target: Ref, uid: str) -> None:
        await asyncio.sleep(0)
        try:
            self._server.delete(target, uid)
        except (errors.NotFound, errors.Conflict):
            return
        self._wrote("delete", target, {})

    def _wrote(self, verb: str, target: Ref, answer: Object) -> Object:
        self.writes.append(f"{verb} {target}")
        self.after_write()
        if len(self.writes) == self._crash_after:
            raise Crash(self.writes[-1])
        if len(self.writes) in self._loses:
            raise errors.Transient(f"{self.writes[-1]}: the connection broke before the answer came")
        return answer


def _is_selected(obj: Object, query: dict[str, str]) -> bool:
    """fieldSelector and labelSelector of equalities."""
    wanted = [(f, *item.split("=", 1)) for f in query for item in query[f].split(",") if item]
    return all(_value(obj, selector, path) == value for selector, path, value in wanted)


def _value(obj: Any, selector: str, path: str) -> str:
    if selector == "labelSelector":
        return str(objects.labels(obj).get(path))
    for part in path.split("."):
        obj = (obj or {}).get(part)
    return str(obj)
