"""The cache: what the watches delivered, and what our own writes were answered with.

Two guards make it safe to decide from. An older resourceVersion never replaces a newer one, so after a write of ours
nothing older is seen again; and a deleted object leaves a tombstone, so a late answer cannot bring it back.
Filled by `wiring` before any reconcile runs. One event loop, no locks.

Objects are kept packed, by this process for this process, and are unpacked each time they are asked for: as nested dicts
they would take six times the memory, and Python's garbage collector would go through all of them again and again.
"""

from __future__ import annotations

import marshal
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref

TOMBSTONES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    uid: str
    version: int
    groups: tuple[str, ...]  # the keys of `Store._groups` under which it is found
    packed: bytes

    def unpack(self) -> Object:
        found: Object = marshal.loads(self.packed)
        return found


class Store:
    def __init__(self, indexed_labels: tuple[str, ...] = ()) -> None:
        """By indexed labels objects are found without looking at all of their kind."""
        self._indexed_labels = indexed_labels
        self._objects: dict[tuple[str, str], dict[str, _Entry]] = defaultdict(dict)
        self._groups: dict[str, set[Ref]] = defaultdict(set)
        self._tombstones: set[str] = set()
        self._tombstone_order: deque[str] = deque()
        self._absent: set[str] = set()

    def serves(self, kind: str) -> bool:
        """The API server knows this kind; what is not told otherwise it does."""
        return kind not in self._absent

    def tell_served(self, kind: str, is_served: bool) -> None:
        (self._absent.discard if is_served else self._absent.add)(kind)

    def put(self, obj: Mapping[str, Any]) -> bool:
        """Takes the object over unless the same or something newer is known; True if it did."""
        target, age, uid = objects.ref(obj), version(obj), objects.uid(obj)
        known = self._entry(target)
        if (known is not None and known.version >= age) or uid in self._tombstones:
            return False
        self._leave_groups(target, known)
        entry = _Entry(uid, age, self._groups_of(obj), marshal.dumps(strip(obj)))
        self._objects[target.kind, target.namespace][target.name] = entry
        for group in entry.groups:
            self._groups[group].add(target)
        return True

    def remove(self, obj: Mapping[str, Any]) -> None:
        """The object is gone for good. A successor of the same name, with another uid, stays."""
        self._remove(objects.ref(obj), objects.uid(obj))

    def retain(self, kind: str, namespace: str, seen: set[Ref], last: int) -> list[Object]:
        """A list of version `last` held `seen` and nothing else: forgets what had gone by then, and returns it."""
        gone = [
            (Ref(kind, space, name), entry)
            for space in self._namespaces(kind, namespace)
            for name, entry in self._objects[kind, space].items()
            if entry.version <= last and Ref(kind, space, name) not in seen
        ]
        for target, entry in gone:
            self._remove(target, entry.uid)
        return [entry.unpack() for _, entry in gone]

    def get(self, target: Ref) -> Object | None:
        entry = self._entry(target)
        return entry.unpack() if entry is not None else None

    def has(self, kind: str, namespace: str) -> bool:
        """There is an object of that kind."""
        return bool(self._objects.get((kind, namespace)))

    def select(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """In the order of names."""
        found = self._objects.get((kind, namespace), {})
        names = sorted(self._candidates(kind, namespace, labels or {}))
        return [obj for obj in (found[name].unpack() for name in names) if _matches(obj, labels)]

    def children(self, owner: Object, kind: str) -> list[Object]:
        """Objects of that kind which `owner` controls, in the order of names."""
        refs = sorted(r for r in self._groups.get(objects.uid(owner), ()) if r.kind == kind)
        return [child for child in map(self.get, refs) if child is not None]

    def all(self, kinds: Iterable[str]) -> list[Object]:
        wanted = set(kinds)
        return [e.unpack() for (kind, _), found in self._objects.items() if kind in wanted for e in found.values()]

    def _entry(self, target: Ref) -> _Entry | None:
        return self._objects.get((target.kind, target.namespace), {}).get(target.name)

    def _namespaces(self, kind: str, namespace: str) -> list[str]:
        """That one; for the empty name all that had objects of this kind."""
        return [space for known, space in self._objects if known == kind and namespace in ("", space)]

    def _candidates(self, kind: str, namespace: str, labels: Mapping[str, str]) -> Iterable[str]:
        """Names of all objects that may have these labels."""
        for label in self._indexed_labels:
            if label in labels:
                group = self._groups.get(_label_group(label, labels[label]), ())
                return [r.name for r in group if (r.kind, r.namespace) == (kind, namespace)]
        return self._objects.get((kind, namespace), {})

    def _groups_of(self, obj: Mapping[str, Any]) -> tuple[str, ...]:
        """Its controller's uid, and its indexed labels."""
        owner, labels = objects.controller(obj), objects.labels(obj)
        named = tuple(_label_group(label, labels[label]) for label in self._indexed_labels if label in labels)
        return (str(owner["uid"]), *named) if owner else named

    def _remove(self, target: Ref, uid: str) -> None:
        self._bury(uid)
        known = self._entry(target)
        if known is not None and known.uid == uid:
            self._leave_groups(target, known)
            del self._objects[target.kind, target.namespace][target.name]

    def _leave_groups(self, target: Ref, known: _Entry | None) -> None:
        for group in known.groups if known is not None else ():
            self._groups[group].discard(target)
            if not self._groups[group]:
                del self._groups[group]

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


def _label_group(label: str, value: str) -> str:
    return f"{label}={value}"


def version(obj: Mapping[str, Any]) -> int:
    """As a number: resourceVersions of one kind can be compared (Kubernetes 1.35 made official what always held)."""
    text = objects.resource_version(obj)
    return int(text) if text.isdigit() else 0


def _matches(obj: Object, labels: Mapping[str, str] | None) -> bool:
    if not labels:
        return True
    have = objects.labels(obj)
    return all(have.get(key) == value for key, value in labels.items())
