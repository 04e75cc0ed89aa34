"""An API server in memory: objects, resourceVersions, server-side apply, status, watches, garbage collection.

Objects are never changed in place: what was read stays as it was. Synchronous; `api.SimApi` is what the operator sees.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mainspring.kube import errors, resources
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from tests.sim import builtin, fields, schemas
from tests.sim.clock import Clock

OUR_KINDS = frozenset(resource.kind for resource in resources.OURS)
Refusal = Callable[[str, Mapping[str, Any]], errors.KubeError | None]


@dataclass(frozen=True)
class Change:
    """What a watch delivers."""

    type: str  # ADDED | MODIFIED | DELETED
    object: dict[str, Any]


@dataclass
class ApiServer:
    clock: Clock
    objects: dict[Ref, dict[str, Any]] = field(default_factory=dict)
    managers: dict[Ref, dict[str, fields.Fields]] = field(default_factory=dict)
    log: dict[str, list[Change]] = field(default_factory=dict)  # by kind
    refusals: list[Refusal] = field(default_factory=list)  # admission: (verb, object) → why not
    made: list[Ref] = field(default_factory=list)  # everything that was ever created
    version: int = 1000
    _uids: int = 0

    def get(self, target: Ref) -> dict[str, Any]:
        if target not in self.objects:
            raise errors.NotFound(f"{target} not found", 404, "NotFound")
        return self.objects[target]

    def select(self, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        """In the order of names."""
        found = [r for r in self.objects if r.kind == kind and namespace in ("", r.namespace)]
        return [self.objects[r] for r in sorted(found, key=_name)]

    def create(self, manifest: Mapping[str, Any], manager: str = "user") -> dict[str, Any]:
        obj = _copy(manifest)
        obj.pop("status", None) if obj["kind"] in OUR_KINDS else None
        target = objects.ref(obj)
        self._admission("create", obj)
        if target in self.objects:
            raise errors.AlreadyExists(f"{target} already exists", 409, "AlreadyExists")
        self._uids += 1
        obj["metadata"] |= {"uid": f"uid-{self._uids:06d}", "creationTimestamp": self.clock.text(), "generation": 1}
        self.made.append(target)
        self.managers[target] = {f"{manager}/Update": fields.owned(target.kind, _copy(manifest))}
        return self._store("ADDED", obj)

    def apply(self, manifest: Mapping[str, Any], manager: str = "user") -> dict[str, Any]:
        """Server-side apply with force; a uid or a resourceVersion in it is a precondition."""
        wanted, target = _copy(manifest), objects.ref(manifest)
        wanted.pop("status", None) if target.kind in OUR_KINDS else None
        live = self.objects.get(target)
        self._preconditions(target, live, wanted)
        if live is None:
            created = self.create(wanted, manager)
            self.managers[target] = {f"{manager}/Apply": fields.owned(target.kind, wanted)}
            return created
        self._admission("apply", wanted)
        return self._apply(live, wanted, f"{manager}/Apply")

    def apply_status(self, manifest: Mapping[str, Any], manager: str = "user") -> dict[str, Any]:
        wanted, live = _copy(manifest), self.get(objects.ref(manifest))
        self._preconditions(objects.ref(manifest), live, wanted)
        only = {key: wanted[key] for key in ("apiVersion", "kind", "metadata", "status")}
        return self._apply(live, only, f"{manager}/Apply/status")

    def _apply(self, live: dict[str, Any], wanted: dict[str, Any], manager: str) -> dict[str, Any]:
        target = objects.ref(live)
        result, managers = fields.apply(target.kind, live, wanted, self.managers[target], manager)
        stored = self._update(live, result)
        self.managers[target] = managers
        return stored

    def merge(self, target: Ref, patch: Mapping[str, Any]) -> dict[str, Any]:
        """JSON merge patch; also how users and pods change a few fields."""
        live = self.get(target)
        return self._update(live, _merge(live, _copy(patch)))

    def delete(self, target: Ref, uid: str = "") -> None:
        live = self.get(target)
        if uid and objects.uid(live) != uid:
            raise errors.Conflict(f"{target}: the uid in the precondition differs", 409, "Conflict")
        del self.objects[target], self.managers[target]
        self.version += 1
        gone = {**live, "metadata": {**live["metadata"], "resourceVersion": str(self.version)}}
        self.log.setdefault(target.kind, []).append(Change("DELETED", gone))

    def collect_garbage(self) -> bool:
        """Removes objects whose owners are all gone, as the background deletion does; True if there were any."""
        uids = {objects.uid(obj) for obj in self.objects.values()}
        orphans = [ref for ref, obj in self.objects.items() if _is_orphan(obj, uids)]
        for target in sorted(orphans):
            self.delete(target)
        return bool(orphans)

    def wipe_status(self, kinds: Iterable[str]) -> None:
        """As after a restore from a backup that left status out."""
        for target in sorted(r for r in self.objects if r.kind in set(kinds)):
            live = self.objects[target]
            self._update(live, {key: value for key, value in live.items() if key != "status"})
            self.managers[target] = {m: f for m, f in self.managers[target].items() if not m.endswith("/status")}

    def copy(self, clock: Clock | None = None) -> ApiServer:
        """Objects are never changed in place, so both may have the same. What the watches had to say is forgotten."""
        state = {"objects": dict(self.objects), "managers": dict(self.managers), "made": list(self.made)}
        return replace(self, clock=clock or self.clock, log={}, refusals=list(self.refusals), **state)

    def _admission(self, verb: str, obj: Mapping[str, Any]) -> None:
        for refusal in self.refusals:
            if error := refusal(verb, obj):
                raise error

    def _preconditions(self, target: Ref, live: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> None:
        for key in ("uid", "resourceVersion"):
            asked = wanted["metadata"].get(key)
            if asked is not None and asked != (live or {"metadata": {}})["metadata"].get(key):
                raise errors.Conflict(f"{target}: the {key} in the precondition differs", 409, "Conflict")

    def _update(self, live: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """Stores it, unless nothing changed."""
        result = _admit(result)
        if result == live:
            return live
        spec_changed = {k: v for k, v in result.items() if k not in ("metadata", "status")} != {
            k: v for k, v in live.items() if k not in ("metadata", "status")
        }
        if live["kind"] in OUR_KINDS:
            schemas.check_immutable(live, result)
        generation = live["metadata"]["generation"] + (1 if spec_changed else 0)
        return self._store("MODIFIED", {**result, "metadata": {**result["metadata"], "generation": generation}})

    def _store(self, change: str, obj: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        admitted = _admit(obj)
        stored = {**admitted, "metadata": {**admitted["metadata"], "resourceVersion": str(self.version)}}
        self.objects[objects.ref(stored)] = stored
        self.log.setdefault(stored["kind"], []).append(Change(change, stored))
        return stored


def _name(target: Ref) -> tuple[str, str]:
    return target.namespace, target.name


def _admit(obj: dict[str, Any]) -> dict[str, Any]:
    return schemas.admit(obj) if obj["kind"] in OUR_KINDS else builtin.admit(obj)


def _copy(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """By way of JSON, as over the wire: what is not JSON fails here."""
    copied: dict[str, Any] = json.loads(json.dumps(manifest))
    return copied


def _merge(live: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    base = live if isinstance(live, dict) else {}
    result = {key: value for key, value in base.items() if key not in patch}
    return result | {key: _merge(base.get(key), value) for key, value in patch.items() if value is not None}


def _is_orphan(obj: Mapping[str, Any], uids: set[str]) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return bool(owners) and not any(owner["uid"] in uids for owner in owners)
