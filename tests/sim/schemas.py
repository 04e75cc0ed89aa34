"""What the API server does with objects of our kinds: defaults, pruning, validation, names and immutability.

Read from the generated CRDs. CEL itself is not evaluated here (a real API server does that elsewhere); the rules on
names and on immutability, which every test could break by accident, are.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.api.v1alpha1.common import NAME_PATTERN
from mainspring.kube import errors

Schema = dict[str, Any]
CRDS = Path(__file__).parents[2] / "crds"
KEPT = "x-kubernetes-preserve-unknown-fields"
MAP_KEYS = "x-kubernetes-list-map-keys"


@functools.cache
def schema(kind: str) -> Schema:
    """The schema of a kind of ours, without metadata."""
    path = CRDS / f"mainspring.dev_{BY_KIND[kind].plural}.yaml"
    crd = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    found: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


@functools.cache
def _validator(kind: str, part: str) -> jsonschema.protocols.Validator:
    return jsonschema.Draft202012Validator(schema(kind)["properties"][part])


def admit(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it is stored. Raises Refused for what the API server would refuse."""
    root = schema(obj["kind"])
    parts = {part: obj[part] for part in ("spec", "status") if part in obj}
    for part, node in root["properties"].items():
        if part not in parts and "default" in node:
            parts[part] = copy.deepcopy(node["default"])
    missing = [part for part in root.get("required", ()) if part not in parts]
    if missing:
        raise errors.Refused(f"{missing[0]}: Required value", 422, "Invalid")
    stored = {part: _admitted(obj["kind"], part, json.dumps(value)) for part, value in parts.items()}
    _check_name(obj)
    return {**obj, **stored}


@functools.lru_cache(maxsize=20_000)
def _admitted(kind: str, part: str, text: str) -> Any:
    """By its text, since the same object is written again and again."""
    value = _filled(json.loads(text), schema(kind)["properties"][part])
    for problem in _validator(kind, part).iter_errors(value):
        path = ".".join(str(item) for item in (part, *problem.absolute_path))
        raise errors.Refused(f"{kind}: {path}: Invalid value: {problem.message}", 422, "Invalid")
    return value


def _filled(value: Any, node: Schema) -> Any:
    """Defaults at every level, unknown fields removed."""
    if isinstance(value, list):
        return [_filled(item, node.get("items", {})) for item in value]
    if not isinstance(value, dict) or node.get(KEPT):
        return value
    known = node.get("properties", {})
    if not known:
        return {key: _filled(item, node.get("additionalProperties") or {}) for key, item in value.items()}
    filled = {key: _filled(item, known[key]) for key, item in value.items() if key in known}
    for key, child in known.items():
        if key not in filled and "default" in child:
            filled[key] = _filled(copy.deepcopy(child["default"]), child)
    return filled


def _check_name(obj: dict[str, Any]) -> None:
    name, kind = obj["metadata"]["name"], BY_KIND[obj["kind"]]
    if len(name) > kind.name_max or not re.fullmatch(NAME_PATTERN, name):
        raise errors.Refused(f"metadata.name {name!r} is not a name of at most {kind.name_max} letters", 422, "Invalid")
    spec = obj.get("spec", {})
    if kind.kind == "ModelVersion" and name != f"{spec['model']}-v{spec['number']}":
        raise errors.Refused("metadata.name must be <spec.model>-v<spec.number>", 422, "Invalid")


def check_immutable(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Only the fields that the kind names may change."""
    mutable = BY_KIND[after["kind"]].mutable
    if mutable is None:
        return
    old, new = ({k: v for k, v in obj["spec"].items() if k not in mutable} for obj in (before, after))
    if old != new:
        raise errors.Refused(f"{after['kind']}: spec is immutable", 422, "Invalid")


@functools.cache
def list_keys(kind: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The keys by which items of the list at this path (without indexes) are merged; empty for an atomic list."""
    if path == ("metadata", "ownerReferences"):
        return ("uid",)
    if kind not in BY_KIND:
        return ()
    node: Schema = schema(kind)
    for name in path:
        node = node.get("properties", {}).get(name) or node.get("additionalProperties") or node.get("items") or {}
    return tuple(node.get(MAP_KEYS, ()))
