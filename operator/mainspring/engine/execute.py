"""Carrying out a plan: children, then one status write if it changed, then events.

Every step can be repeated, and every write is either fenced (status: by resourceVersion; updates: by uid) or can only
create. So being killed between any two of them loses nothing, and so does a second operator that does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mainspring.engine import metrics
from mainspring.kube import apply, errors, events
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import compare, conditions, objects, refusals
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Event, Patch, Plan

VERDICTS = (conditions.READY, conditions.RECONCILING, conditions.STALLED)


@dataclass(frozen=True)
class Result:
    wrote: bool
    refused: errors.KubeError | None = None


class Executor:
    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store

    async def execute(self, about: Object, plan: Plan, now: datetime) -> Result:
        """Raises KubeError for what should be tried again; a refusal ends in the object's status instead."""
        wrote = False
        if plan.status_first and _decides(about, plan.status):
            about, wrote = await self._write_status(about, plan.status, now)
        try:
            wrote |= await self._write_children(plan)
        except (errors.Refused, errors.NameTaken) as refusal:
            return await self._report_refusal(about, plan, refusal, now)
        about, changed = await self._write_status(about, plan.status, now)
        wrote |= changed
        for event in plan.events if wrote else ():
            await events.publish(self._api, about, event, now)
        return Result(wrote)

    async def _write_children(self, plan: Plan) -> bool:
        wrote = False
        for manifest in plan.apply:
            changed = await apply.ensure(self._api, self._store, manifest)
            _count(changed, manifest["kind"], "apply")
            wrote |= changed
        for patch in plan.patch:
            wrote |= await self._patch(patch)
        for target, uid in plan.delete:
            wrote |= await self._delete(target, uid)
        return wrote

    async def _patch(self, patch: Patch) -> bool:
        live = self._store.get(patch.target)
        if live is None or compare.holds(live, patch.body):
            return False
        metadata = {
            **patch.body.get("metadata", {}),
            "name": patch.target.name,
            "namespace": patch.target.namespace,
            "uid": patch.uid,
        }
        manifest = {**patch.body, "apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata}
        self._store.put(await self._api.apply(manifest, patch.field_manager))
        _count(True, patch.target.kind, "patch")
        return True

    async def _delete(self, target: Ref, uid: str) -> bool:
        await self._api.delete(target, uid)
        _count(True, target.kind, "delete")
        return True

    async def _write_status(
        self, about: Object, status: Mapping[str, Any] | None, now: datetime
    ) -> tuple[Object, bool]:
        if status is None or status == objects.status(about):
            return about, False
        written = await self._apply_status(about, status)
        self._store.put(written)
        _count(True, objects.ref(about).kind, "status")
        if event := verdict_event(about, written):
            await events.publish(self._api, written, event, now)
        return written, True

    async def _apply_status(self, about: Object, status: Mapping[str, Any]) -> Object:
        try:
            return await self._api.apply_status(_fenced(about, status))
        except errors.NotFound:
            # Deleted, and its watch is late: without this its children would be made again and again.
            self._store.remove(about)
            raise

    async def _report_refusal(self, about: Object, plan: Plan, refusal: errors.KubeError, now: datetime) -> Result:
        reason = refusal.kind_of_refusal if isinstance(refusal, errors.Refused) else "NameTaken"
        verdict = conditions.stalled(reason, refusals.explain(reason, refusal.message))
        base = objects.status(about) if plan.status is None else plan.status
        kept = tuple(
            conditions.Condition(c["type"], c["status"], c["reason"], c.get("message", ""))
            for c in base.get("conditions") or ()
            if c["type"] not in VERDICTS
        )
        fields = {k: v for k, v in base.items() if k not in ("conditions", "observedGeneration")}
        _, wrote = await self._write_status(about, conditions.build_status(about, verdict, now, fields, kept), now)
        return Result(wrote, refusal)


def verdict_event(before: Object, after: Object) -> Event | None:
    """An Event when what `Ready` says has changed; each verdict is told once.

    That an object is in progress when it was just made is no news, and an eighth of what a new service costs.
    """
    old, new = objects.condition(before, conditions.READY), objects.condition(after, conditions.READY)
    if new is None or (old and (old["status"], old["reason"]) == (new["status"], new["reason"])):
        return None
    if old is None and objects.condition_is(after, conditions.RECONCILING):
        return None
    warning = objects.condition_is(after, conditions.STALLED)
    return Event(new["reason"], new["message"], "Warning" if warning else "Normal")


def _decides(about: Object, status: Mapping[str, Any] | None) -> bool:
    """More than the verdict changes. A verdict alone is told after the children: it must not flap when these are refused."""
    facts = [{k: v for k, v in s.items() if k not in _VERDICT_FIELDS} for s in (status or {}, objects.status(about))]
    return facts[0] != facts[1]


_VERDICT_FIELDS = ("conditions", "observedGeneration")


def _fenced(about: Object, status: Mapping[str, Any]) -> dict[str, Any]:
    target = objects.ref(about)
    metadata = {"name": target.name, "namespace": target.namespace, "resourceVersion": objects.resource_version(about)}
    return {"apiVersion": about["apiVersion"], "kind": about["kind"], "metadata": metadata, "status": dict(status)}


def _count(changed: bool, kind: str, what: str) -> None:
    if changed:
        metrics.WRITES.labels(kind, what).inc()
