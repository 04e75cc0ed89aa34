"""The API server refuses a CRD whose CEL rules could cost too much: it counts with every maximum, or with none."""

from __future__ import annotations

import pytest

from mainspring.api.v1alpha1 import KINDS
from mainspring.api.v1alpha1.common import Kind
from mainspring.tools import crdgen, schema
from tests.unit.api import schemas


def bounded(node: schemas.Schema) -> bool:
    if "enum" in node or schema.PRESERVE in node:
        return True
    if schema.INT_OR_STRING in node:
        return "maxLength" in node
    needed = {"string": "maxLength", "array": "maxItems"}.get(node["type"])
    if node["type"] == "object" and "additionalProperties" in node:
        needed = "maxProperties"
    return needed is None or needed in node


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_string_list_and_map_has_a_maximum(kind: Kind) -> None:
    assert [path for path, node in schemas.nodes_of(kind) if not bounded(node)] == []


@pytest.mark.parametrize(
    "broken", [{"type": "string"}, {"type": "array"}, {"type": "object", "additionalProperties": {}}]
)
def test_a_field_without_maximum_would_be_noticed(broken: schemas.Schema) -> None:
    assert not bounded(broken)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_crd_is_far_smaller_than_what_kubectl_can_apply(kind: Kind) -> None:
    assert len(crdgen.render(kind).encode()) < crdgen.MAX_BYTES
