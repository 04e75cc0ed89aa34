"""Reading Kubernetes objects as plain dicts: the only place that digs into their fields.

An object is the JSON that the API server gives, as nested dicts; it is never changed in place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Object = Mapping[str, Any]
Manifest = dict[str, Any]


@dataclass(frozen=True, order=True, slots=True)
class Ref:
    """Names one object; also the key of the work queue."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def ref(obj: Object) -> Ref:
    return Ref(obj["kind"], namespace(obj), name(obj))


def name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def generation(obj: Object) -> int:
    return int(obj["metadata"].get("generation", 0))


def resource_version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def spec(obj: Object) -> Mapping[str, Any]:
    return obj.get("spec") or {}


def status(obj: Object) -> Mapping[str, Any]:
    return obj.get("status") or {}


def is_deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def created_at(obj: Object) -> datetime:
    return parse_time(obj["metadata"]["creationTimestamp"])


def condition(obj: Object, kind: str) -> Mapping[str, Any] | None:
    for item in status(obj).get("conditions") or ():
        if item.get("type") == kind:
            found: Mapping[str, Any] = item
            return found
    return None


def condition_is(obj: Object, kind: str, value: str = "True") -> bool:
    found = condition(obj, kind)
    return found is not None and found.get("status") == value


def controller(obj: Object) -> Mapping[str, Any] | None:
    """The controlling owner reference, if any."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            found: Mapping[str, Any] = owner
            return found
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    found = controller(obj)
    return found is not None and found.get("uid") == uid(owner)


def owner_reference(owner: Object) -> Manifest:
    """Makes `owner` the controller. Deleting the owner is never blocked: deletion works with the operator down."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": False,
    }


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def format_time(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as Kubernetes writes metav1.Time."""
    return moment.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def stable_hash(value: Any, length: int = 10) -> str:
    """A short hash of a JSON value; letters and digits that may stand in a name."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def newest(objects: Iterable[Object]) -> Object | None:
    """The one created last; the name decides between equals, so the answer never depends on order."""
    return max(objects, key=lambda o: (o["metadata"].get("creationTimestamp", ""), name(o)), default=None)


_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> timedelta:
    """`1h30m` → 5,400 s. Raises ValueError for anything the schema's pattern would refuse."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 90s, 15m or 6h")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
