"""What the API server demands of a structural schema, and what all kinds have in common."""

from __future__ import annotations

import re

import pytest

from mainspring.api.v1alpha1 import KINDS
from mainspring.api.v1alpha1.common import Kind
from mainspring.tools import crdgen, schema
from tests.unit.api import schemas

TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
# `kubectl api-resources` of Kubernetes 1.34: a short name of ours must not hide one of these.
BUILT_IN_SHORT_NAMES = frozenset(
    {"cj", "cm", "crd", "crds", "cs", "csr", "deploy", "ds", "ep", "ev", "hpa", "ing", "limits", "netpol", "no", "ns"}
    | {"pc", "pdb", "po", "pv", "pvc", "quota", "rc", "rs", "sa", "sc", "sts", "svc"}
)


@each_kind
def test_nothing_of_pydantic_is_left(kind: Kind) -> None:
    for path, node in schemas.nodes_of(kind):
        assert set(node) <= set(schema.KEPT), path
        assert "anyOf" not in node or schema.INT_OR_STRING in node, path


@each_kind
def test_every_node_has_one_type_or_says_that_it_has_none(kind: Kind) -> None:
    for path, node in schemas.nodes_of(kind):
        free = schema.INT_OR_STRING in node or schema.PRESERVE in node
        assert free != (node.get("type") in TYPES), path


@each_kind
def test_an_object_names_its_fields_or_is_a_map(kind: Kind) -> None:
    for path, node in schemas.nodes_of(kind):
        if node.get("type") == "object":
            assert ("properties" in node) != ("additionalProperties" in node), path


@each_kind
def test_every_field_of_the_spec_is_described(kind: Kind) -> None:
    fields = [
        f"{path}.{name}"
        for path, node in schemas.nodes("spec", schemas.spec_of(kind))
        for name, child in node.get("properties", {}).items()
        if not child.get("description")
    ]
    assert fields == []


@each_kind
def test_spec_is_required_and_status_starts_before_the_first_look(kind: Kind) -> None:
    root = crdgen.root_schema(kind)
    assert root["required"] == ["spec"]
    assert root["properties"]["status"]["default"] == {"observedGeneration": -1}


@each_kind
def test_status_has_no_other_default(kind: Kind) -> None:
    status = crdgen.root_schema(kind)["properties"]["status"]
    assert [path for path, node in schemas.nodes("", status) if path and "default" in node] == []


@each_kind
def test_conditions_merge_by_type(kind: Kind) -> None:
    conditions = crdgen.root_schema(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert set(conditions["items"]["required"]) == {"type", "status", "reason", "lastTransitionTime"}


@each_kind
def test_columns_end_with_ready_reason_and_age(kind: Kind) -> None:
    version = crdgen.crd(kind)["spec"]["versions"][0]
    narrow = [column["name"] for column in version["additionalPrinterColumns"] if "priority" not in column]
    assert narrow[-3:] == ["Ready", "Reason", "Age"]
    assert len(narrow) > 3


@each_kind
def test_columns_show_fields_that_exist(kind: Kind) -> None:
    known = {path for path, _ in schemas.nodes("", crdgen.root_schema(kind))} | {".metadata.creationTimestamp"}
    for column in crdgen.columns(kind):
        path = re.sub(r"\[\?\(.*\)\]", "[]", column.path)
        assert path in known, column


@each_kind
def test_immutable_fields_are_all_but_the_mutable_ones(kind: Kind) -> None:
    spec = schemas.spec_of(kind)
    guarded = {rule["fieldPath"][1:] for rule in spec.get(schema.VALIDATIONS, []) if "oldSelf" in rule["rule"]}
    free = set(spec["properties"]) if kind.mutable is None else set(kind.mutable)
    assert guarded == set(spec["properties"]) - free


@each_kind
def test_a_fixed_object_may_hold_no_object_with_unknown_fields(kind: Kind) -> None:
    """Of two such objects with as many keys CEL says that they are equal, whatever the keys are called."""
    loose = [
        path
        for path, node in schemas.nodes("spec", schemas.spec_of(kind))
        if schema.PRESERVE in node and node.get("type") == "object"
    ]
    assert loose == []


def test_only_services_scale() -> None:
    scaled = {
        kind.kind: crdgen.crd(kind)["spec"]["versions"][0]["subresources"].get("scale") for kind in KINDS if kind.scale
    }
    assert scaled == {
        "InferenceService": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    }


def test_replicas_have_no_default_because_an_autoscaler_may_own_them() -> None:
    (service,) = (kind for kind in KINDS if kind.kind == "InferenceService")
    assert "default" not in schemas.spec_of(service)["properties"]["replicas"]


def test_names_are_unique_and_none_is_built_in() -> None:
    short = [kind.short for kind in KINDS]
    assert len({*short, *(kind.plural for kind in KINDS)}) == 2 * len(KINDS)
    assert BUILT_IN_SHORT_NAMES.isdisjoint(short)


@each_kind
def test_no_field_is_a_word_that_yaml_takes_for_a_boolean(kind: Kind) -> None:
    """kubectl, Helm and Argo CD read YAML 1.1: a field `on` would arrive as `true`, unknown to the schema."""
    words = {"on", "off", "yes", "no", "y", "n", "true", "false"}
    fields = {path.rpartition(".")[2].removesuffix("[]") for path, _ in schemas.nodes("spec", schemas.spec_of(kind))}
    assert not fields & words
