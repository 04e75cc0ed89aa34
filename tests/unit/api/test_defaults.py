"""Defaults live in the schema: what the API server fills in is what the models say, and it is valid."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mainspring.api.v1alpha1 import BY_KIND, KINDS
from tests.unit.api import schemas

DIGEST = "sha256:" + "0" * 64
MINIMAL: dict[str, dict[str, Any]] = {
    "Dataset": {"source": {"sample": "wine"}, "target": "target"},
    "DatasetVersion": {
        "dataset": "d",
        "digest": DIGEST,
        "uri": "s3://b/d",
        "rows": 3,
        "task": "Regression",
        "target": "y",
        "splits": {"train": 2, "test": 1},
        "columns": [{"name": "y", "type": "Float", "role": "Target"}],
        "checks": [{"name": "c", "passed": True}],
    },
    "TrainingRun": {"dataset": {"name": "d"}, "model": "m", "estimator": {"class": "sklearn.svm.SVC"}},
    "Model": {"gates": [{"name": "g", "metric": "r2", "versusChampion": {}}]},
    "ModelVersion": {
        "model": "m",
        "number": 1,
        "artifact": {"uri": "s3://b/m", "digest": DIGEST},
        "inputs": [{"name": "x", "datatype": "FP32"}],
    },
    "InferenceService": {"model": {"name": "m"}},
    "ModelMonitor": {
        "service": "m",
        "performance": {"metric": "accuracy", "minimum": 0.9},
        "retrain": {
            "template": {
                "spec": {"dataset": {"name": "d"}, "model": "m", "estimator": {"class": "sklearn.svm.SVC"}},
            }
        },
    },
}


def test_every_kind_is_here() -> None:
    assert set(MINIMAL) == {kind.kind for kind in KINDS}


@pytest.mark.parametrize("name", MINIMAL)
def test_the_api_server_and_the_models_fill_in_the_same(name: str) -> None:
    kind = BY_KIND[name]
    stored = schemas.with_defaults(MINIMAL[name], schemas.spec_of(kind))
    assert stored == kind.spec.model_validate(MINIMAL[name]).to_dict()


@pytest.mark.parametrize("name", MINIMAL)
def test_what_the_api_server_stores_is_valid(name: str) -> None:
    spec = schemas.spec_of(BY_KIND[name])
    jsonschema.validate(schemas.with_defaults(MINIMAL[name], spec), spec)


@pytest.mark.parametrize("name", MINIMAL)
def test_a_default_is_whole_where_rules_look_at_it(name: str) -> None:
    """The API server tries CEL rules on the default of an object before it fills in the defaults of its fields."""
    for path, node in schemas.nodes("spec", schemas.spec_of(BY_KIND[name])):
        if isinstance(node.get("default"), dict):
            assert node["default"] == schemas.with_defaults({}, node), path


@pytest.mark.parametrize("written", [0.5, "0.5"])
def test_half_may_be_written_as_a_number(written: object) -> None:
    run = BY_KIND["TrainingRun"].spec
    estimator = {"class": "sklearn.svm.SVC", "threshold": written}
    made = run.model_validate({**MINIMAL["TrainingRun"], "estimator": estimator})
    assert made.to_dict()["estimator"]["threshold"] == "0.5"
