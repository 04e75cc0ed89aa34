"""The structs that are encoded, against the contract that the operator reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mainspring.api import monitoring as contract
from mainspring_runtime.serve.monitoring import profile as profiles
from mainspring_runtime.serve.monitoring import wire
from tests.unit.runtime.serve import contracts
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import Watching

# These begin at nothing and are counted in.
COUNTED = ("ErrorSums", "LabelMoments")
STRUCTS = (
    "ReferenceColumn",
    "Calibration",
    "ReferencePrediction",
    "Reference",
    "ColumnCounts",
    "LabelMoments",
    "ErrorSums",
    "FeedbackCounts",
    "PayloadCounts",
    "Snapshot",
)


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_has_the_fields_types_and_defaults_of_the_contract(name: str) -> None:
    contracts.require_same(getattr(contract, name), getattr(wire, name), defaults=name not in COUNTED)


def test_the_constants_are_those_of_the_contract() -> None:
    for name in ("SNAPSHOT_PATH", "REFERENCE_PATH", "FEEDBACK_OUTPUT", "FORMAT"):
        assert getattr(wire, name) == getattr(contract, name)


async def test_the_reference_is_that_of_the_newest_rows(tmp_path: Path) -> None:
    later = {name: values[:50] for name, values in watching.training_columns().items()}
    document = watching.trained_profile(later)
    async with watching.serving(watching.read_profile(tmp_path, document)) as served:
        reference = await served.reference()
    assert (reference.model, reference.version, reference.rows_of, reference.rows) == ("tumours", "3", "newest", 250)
    assert (reference.task, reference.classes) == ("Classification", ["B", "M"])
    for column, feature in zip(reference.columns, document["features"], strict=True):
        assert (column.name, column.kind, column.edges) == (feature["name"], feature["kind"], feature.get("edges"))
        assert column.counts == feature.get("counts", {"newest": []})["newest"]
        assert column.missing == feature["missing"]["newest"]
    assert reference.prediction is not None
    assert reference.prediction.counts == document["prediction"]["counts"]["newest"]
    assert (reference.prediction.positive, reference.prediction.threshold) == ("M", 0.5)
    assert reference.prediction.calibration is not None


async def test_rows_of_training_are_the_reference_when_there_are_no_newer_ones(served: Watching) -> None:
    document = watching.trained_profile()
    assert set(document["rows"]) == {"train", "newest"}, "this data set has a timestamp"
    document["rows"].pop("newest")
    found = profiles.Profile(
        rows=200, features=tuple(msgspec.convert(item, profiles.Feature) for item in document["features"])
    )
    reference = profiles.build_reference(found, watching.CLASSIFIED, "tumours", "3", "sha256:0")
    assert (reference.rows_of, reference.rows) == ("train", 200)
    assert reference.columns[0].counts == document["features"][0]["counts"]["train"]
