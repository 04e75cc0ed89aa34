"""The cache: what the watches delivered, and what our own writes were answered with.

Two guards make it safe to decide from. An older resourceVersion never replaces a newer one, so after a write of ours
nothing older is seen again; and a deleted object leaves a tombstone, so a late answer cannot bring it back.
Filled by `wiring` before any reconcile runs. One event loop, no locks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref

TOMBSTONES_MAX = 10_000


class Store:
    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], dict[str, Object]] = defaultdict(dict)
        self._by_owner: dict[str, set[Ref]] = defaultdict(set)
        self._tombstones: set[str] = set()
        self._tombstone_order: deque[str] = deque()

    def put(self, obj: Mapping[str, Any]) -> bool:
        """Takes the object over unless something newer is known; True if it did."""
        target, version = objects.ref(obj), _version(obj)
        known = self.get(target)
        if known is not None and _version(known) >= version:
            return False
        if objects.uid(obj) in self._tombstones:
            return False
        self._drop_owner(target)
        self._objects[target.kind, target.namespace][target.name] = strip(obj)
        if owner := objects.controller(obj):
            self._by_owner[owner["uid"]].add(target)
        return True

    def remove(self, obj: Mapping[str, Any]) -> None:
        """The object is gone for good. A successor of the same name, with another uid, stays."""
        target = objects.ref(obj)
        self._bury(objects.uid(obj))
        known = self.get(target)
        if known is not None and objects.uid(known) == objects.uid(obj):
            self._drop_owner(target)
            del self._objects[target.kind, target.namespace][target.name]

    def get(self, target: Ref) -> Object | None:
        return self._objects.get((target.kind, target.namespace), {}).get(target.name)

    def select(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """In the order of names."""
        found = self._objects.get((kind, namespace), {})
        return [found[name] for name in sorted(found) if _matches(found[name], labels)]

    def children(self, owner: Object, kind: str) -> list[Object]:
        """Objects of that kind which `owner` controls, in the order of names."""
        refs = sorted(r for r in self._by_owner.get(objects.uid(owner), ()) if r.kind == kind)
        return [child for child in map(self.get, refs) if child is not None]

    def all(self, kinds: Iterable[str]) -> list[Object]:
        wanted = set(kinds)
        return [o for (kind, _), found in self._objects.items() if kind in wanted for o in found.values()]

    def _drop_owner(self, target: Ref) -> None:
        known = self.get(target)
        if known is not None and (owner := objects.controller(known)):
            self._by_owner[owner["uid"]].discard(target)
            if not self._by_owner[owner["uid"]]:
                del self._by_owner[owner["uid"]]

    def _bury(self, uid: str) -> None:
        if uid in self._tombstones:
            return
        self._tombstones.add(uid)
        self._tombstone_order.append(uid)
        if len(self._tombstone_order) > TOMBSTONES_MAX:
            self._tombstones.discard(self._tombstone_order.popleft())


def strip(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Without what no decision needs: managedFields alone is often half of an object."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def _version(obj: Mapping[str, Any]) -> int:
    """As a number: resourceVersions of one kind can be compared (Kubernetes 1.35 made official what always held)."""
    text = objects.resource_version(obj)
    return int(text) if text.isdigit() else 0


def _matches(obj: Object, labels: Mapping[str, str] | None) -> bool:
    if not labels:
        return True
    have = objects.labels(obj)
    return all(have.get(key) == value for key, value in labels.items())
