"""From a pydantic model to the structural schema that a CRD may carry.

A structural schema has no references, no unions and no titles, and its root is an object. Whatever pydantic emits that
is neither kept nor dropped here by name is an error: nothing reaches the API server by accident.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
VALIDATIONS = "x-kubernetes-validations"

# In the order in which they are written.
KEPT = (
    "description",
    "type",
    "format",
    INT_OR_STRING,
    "anyOf",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "required",
    "properties",
    "items",
    "additionalProperties",
    PRESERVE,
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    VALIDATIONS,
)
DROPPED = frozenset({"title", "$defs", "propertyNames", "discriminator"})
COMPOSED = frozenset({"$ref", "allOf", "anyOf"})
NULL = {"type": "null"}


class SchemaError(ValueError):
    """A pydantic type has no structural form; the message names the keyword."""


def structural(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """The structural schema of a model; `defaults=False` leaves out all defaults."""
    raw = model.model_json_schema(by_alias=True)
    return _node(raw, raw.get("$defs", {}), defaults)


def ordered(node: Schema) -> Schema:
    """The keywords of a node in the order in which they are written."""
    return {key: node[key] for key in KEPT if key in node}


def _node(raw: Schema, definitions: Schema, defaults: bool) -> Schema:
    flat = _bounds(_flat(raw, definitions))
    unknown = flat.keys() - set(KEPT) - DROPPED
    if unknown:
        raise SchemaError(f"no structural form for {', '.join(sorted(unknown))}")
    node = {key: flat[key] for key in KEPT if key in flat and key != "default"}
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if VALIDATIONS in node:
        node[VALIDATIONS] = [_ordered(rule) for rule in node[VALIDATIONS]]
    _convert_children(node, definitions, defaults)
    if defaults and flat.get("default") is not None:
        node["default"] = _filled(flat["default"])
    return ordered(node)


def _flat(raw: Schema, definitions: Schema) -> Schema:
    """One level without references and unions: what stands beside a reference wins over what it refers to."""
    if INT_OR_STRING in raw:
        return raw
    flat: Schema = {}
    rules: list[Schema] = []
    for part in _parts(raw, definitions):
        inner = _flat(part, definitions)
        rules += inner.get(VALIDATIONS, [])
        flat |= inner
    flat |= {key: value for key, value in raw.items() if key not in COMPOSED}
    rules += raw.get(VALIDATIONS, [])
    return flat | {VALIDATIONS: rules} if rules else flat


def _parts(raw: Schema, definitions: Schema) -> list[Schema]:
    parts: list[Schema] = [*raw.get("allOf", [])]
    if "$ref" in raw:
        parts.append(definitions[raw["$ref"].rsplit("/", 1)[1]])
    branches = [branch for branch in raw.get("anyOf", []) if branch != NULL]
    if len(branches) > 1:
        raise SchemaError(f"a union of {len(branches)} types has no structural form: {branches}")
    return parts + branches


def _bounds(flat: Schema) -> Schema:
    """JSON Schema 2020 writes an exclusive bound as a number, OpenAPI 3.0 as a flag beside the bound."""
    flat = _fractions(flat)
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in flat:
            flat[bound], flat[exclusive] = flat[exclusive], True
    return flat


def _fractions(flat: Schema) -> Schema:
    """The API server cuts a bound to a whole number for values without a point: 0 passes `minimum: 0.01`. CEL does not."""
    rules = [
        {"rule": f"self {sign} {flat[bound]}", "message": f"must be at {word} {flat[bound]}"}
        for bound, sign, word in (("minimum", ">=", "least"), ("maximum", "<=", "most"))
        if flat.get(bound, 0) % 1
    ]
    return flat | {VALIDATIONS: [*flat.get(VALIDATIONS, []), *rules]} if rules else dict(flat)


def _convert_children(node: Schema, definitions: Schema, defaults: bool) -> None:
    if "properties" in node:
        node["properties"] = {name: _node(child, definitions, defaults) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in node:
            if not isinstance(node[key], dict):
                raise SchemaError(f"{key}: {node[key]} has no structural form; name the type, or use Opaque")
            node[key] = _node(node[key], definitions, defaults)


def _filled(default: Any) -> Any:
    """A default as the object will look: the API server tries CEL rules on it before it fills in nested defaults."""
    if not isinstance(default, dict):
        return default
    return {name: _filled(value) for name, value in default.items() if value is not None}


def _ordered(rule: Schema) -> Schema:
    order = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    return {key: rule[key] for key in order if key in rule}
