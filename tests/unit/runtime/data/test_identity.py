"""What makes a version a new one."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.data.identity import identity_of, recipe_of

SPEC: dict[str, Any] = {"source": {"uri": "s3://lake/rows/"}, "target": "y", "key": "id"}
VERSIONS = [["a.parquet", "10", "etag-1"]]


def identity(spec: dict[str, Any] | None = None, versions: list[list[str]] | None = None, **task: Any) -> str:
    fields = {"destination": "s3://store", "image": "runtime@sha256:1", "refreshed_at": "2026-01-01T00:00:00Z", **task}
    made = contract.PrepareTask(
        namespace="team", dataset="rows", spec=DatasetSpec.model_validate(SPEC | (spec or {})), **fields
    )
    return identity_of(made, versions or VERSIONS)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"refresh": {"schedule": "0 3 * * *"}}},
        {"spec": {"retain": 3}},
        {"spec": {"resources": {"limits": {"memory": "1Gi"}}}},
        {"spec": {"podTemplate": {"labels": {"a": "b"}}}},
        {"spec": {"maxInvalidFraction": 0.0}},
        {"refreshed_at": "2027-01-01T00:00:00Z"},
        {"destination": "s3://elsewhere"},
        {"previous_identity": "sha256:" + "2" * 64},
    ],
)
def test_when_and_where_do_not_matter(change: dict[str, Any]) -> None:
    assert identity(**change) == identity()


@pytest.mark.parametrize(
    "change",
    [
        {"versions": [["a.parquet", "10", "etag-2"]]},
        {"versions": [*VERSIONS, ["b.parquet", "1", "etag-1"]]},
        {"image": "runtime@sha256:2"},
        {"inputs": [contract.ArtifactRef(name="sites", uri="s3://x", digest="sha256:" + "1" * 64)]},
        {"spec": {"checks": [{"name": "a", "sql": "SELECT 1"}]}},
        {"spec": {"split": {"test": 0.3}}},
        {"spec": {"features": {"exclude": ["x"]}}},
        {"spec": {"maxInvalidFraction": 0.1}},
        {"spec": {"target": "z"}},
        {"spec": {"showExamples": True}},
    ],
)
def test_what_goes_in_matters(change: dict[str, Any]) -> None:
    assert identity(**change) != identity()


def test_inputs_count_by_digest_not_by_place() -> None:
    one, other = (
        [contract.ArtifactRef(name="sites", uri=uri, digest="sha256:" + "1" * 64)] for uri in ("s3://one", "s3://other")
    )
    assert identity(inputs=one) == identity(inputs=other)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"split": {"test": 0.4}, "checks": [{"name": "a", "sql": "SELECT 1"}], "target": "z"}, True),
        ({"prepare": [{"name": "a", "sql": "SELECT 1"}]}, False),
        ({"source": {"uri": "s3://lake/other/"}}, False),
        ({"inputs": [{"name": "sites", "dataset": "sites"}]}, False),
        ({"columns": [{"name": "x", "type": "Float"}]}, False),
    ],
)
def test_the_recipe_is_what_shapes_the_columns(change: dict[str, Any], same: bool) -> None:
    assert (recipe_of(DatasetSpec.model_validate(SPEC | change)) == recipe_of(DatasetSpec.model_validate(SPEC))) is same
