"""Walking through the schemas of all kinds, and doing to an object what the API server does with their defaults."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from mainspring.api.v1alpha1.common import Kind
from mainspring.tools import crdgen

Schema = dict[str, Any]


def nodes(path: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    """Every schema below this one with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", child)
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if key in node:
            yield from nodes(path + mark, node[key])


def nodes_of(kind: Kind) -> Iterator[tuple[str, Schema]]:
    """Every schema of a kind, below spec and status."""
    properties = crdgen.root_schema(kind)["properties"]
    for part in ("spec", "status"):
        yield from nodes(part, properties[part])


def spec_of(kind: Kind) -> Schema:
    """The schema of a kind's spec."""
    found: Schema = crdgen.root_schema(kind)["properties"]["spec"]
    return found


def with_defaults(value: Any, node: Schema) -> Any:
    """What the API server stores: absent fields get their default, at every level."""
    if isinstance(value, list) and "items" in node:
        return [with_defaults(item, node["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in node:
        return value
    filled = dict(value)
    for name, child in node["properties"].items():
        if name not in filled and "default" in child:
            filled[name] = copy.deepcopy(child["default"])
        if name in filled:
            filled[name] = with_defaults(filled[name], child)
    return filled
