"""Who owns which field, and what a server-side apply makes of an object.

A field is a path of keys; an item of a list that is merged by keys is named by these. Conflicts are forced, as the
operator asks. A field that its only manager no longer applies is removed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.sim import schemas

Path = tuple[Any, ...]  # str for a key, tuple of (key, value) for an item of a merged list
Fields = frozenset[Path]
IDENTITY = frozenset(
    {("apiVersion",), ("kind",)} | {("metadata", k) for k in ("name", "namespace", "uid", "resourceVersion")}
)


def owned(kind: str, manifest: dict[str, Any]) -> Fields:
    """The fields that a manager claims by applying this."""
    return frozenset(_leaves(kind, manifest, ())) - IDENTITY


def _leaves(kind: str, value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(kind, item, (*path, key))
        return
    keys = _keys(kind, path) if isinstance(value, list) else ()
    if not keys:
        yield path
        return
    for item in value:
        yield from _leaves(kind, item, (*path, _name(item, keys)))


def _keys(kind: str, path: Path) -> tuple[str, ...]:
    return schemas.list_keys(kind, tuple(p for p in path if isinstance(p, str)))


def _name(item: dict[str, Any], keys: tuple[str, ...]) -> Path:
    return tuple((key, item.get(key)) for key in keys)


def _names_an_item(path: Path) -> bool:
    return len(path) > 1 and not isinstance(path[-2], str) and path[-1] in dict(path[-2])


def get(obj: Any, path: Path) -> Any:
    """The value there, or None."""
    for part in path:
        obj = _child(obj, part)
        if obj is None:
            return None
    return obj


def _child(obj: Any, part: Any) -> Any:
    if isinstance(part, str):
        return obj.get(part) if isinstance(obj, dict) else None
    return next((item for item in obj or () if all(item.get(k) == v for k, v in part)), None)


def without(obj: Any, path: Path) -> Any:
    """The object without that field, nor containers that became empty by it."""
    head, rest = path[0], path[1:]
    child = _child(obj, head)
    if child is None:
        return obj
    left = without(child, rest) if rest else None
    gone = left is None or left in ({}, [])
    if isinstance(head, str):
        return {key: left if key == head else item for key, item in obj.items() if not (gone and key == head)}
    return [left if item is child else item for item in obj if not (gone and item is child)]


def merged(kind: str, live: Any, applied: Any, path: Path = ()) -> Any:
    """`live` with everything that `applied` says; the order of merged lists is that of `applied`."""
    if isinstance(live, dict) and isinstance(applied, dict):
        return {**live, **{key: merged(kind, live.get(key), item, (*path, key)) for key, item in applied.items()}}
    keys = _keys(kind, path) if isinstance(applied, list) else ()
    if not keys or not isinstance(live, list):
        return copy.deepcopy(applied)
    known = {_name(item, keys): item for item in live}
    items = [merged(kind, known.pop(_name(item, keys), None), item, (*path, _name(item, keys))) for item in applied]
    return [*items, *known.values()]


def apply(
    kind: str, live: dict[str, Any], manifest: dict[str, Any], managers: dict[str, Fields], manager: str
) -> tuple[dict[str, Any], dict[str, Fields]]:
    """The object and its managers after this apply."""
    claimed = owned(kind, manifest)
    others = {name: fields for name, fields in managers.items() if name != manager}
    result: dict[str, Any] = live
    # The fields that name an item go last: without them it could not be found any more.
    for path in sorted(managers.get(manager, frozenset()) - claimed, key=_names_an_item):
        if not any(path in fields for fields in others.values()):
            result = without(result, path)
    body = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    body["metadata"] = {k: v for k, v in body["metadata"].items() if ("metadata", k) not in IDENTITY}
    result = merged(kind, result, body)
    lost = {path for path in claimed if get(live, path) != get(result, path)}
    return result, {**{name: fields - lost for name, fields in others.items()}, manager: claimed}
