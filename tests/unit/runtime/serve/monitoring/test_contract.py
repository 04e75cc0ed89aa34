"""The structs that are encoded, against the contract that the operator reads."""

from __future__ import annotations

import types
import typing
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

from mainspring.api import monitoring as contract
from mainspring_runtime.serve.monitoring import profile as profiles
from mainspring_runtime.serve.monitoring import wire
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
    model: type[BaseModel] = getattr(contract, name)
    struct = getattr(wire, name)
    hints = typing.get_type_hints(struct)
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    assert {field.encode_name for field in fields.values()} == {
        found.alias or found_name for found_name, found in model.model_fields.items()
    }
    for field_name, expected in model.model_fields.items():
        assert shape(hints[field_name]) == shape(expected.annotation), field_name
        if not expected.is_required() and name not in COUNTED:
            found = fields[field_name]
            default = found.default if found.default is not msgspec.NODEFAULT else found.default_factory()
            assert default == expected.default, field_name


def shape(annotation: typing.Any) -> str:
    """A type with structs by name and literals as what they are made of."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return type(arguments[0]).__name__
    if origin in (types.UnionType, typing.Union):
        return "|".join(sorted(shape(argument) for argument in arguments))
    if arguments:
        return f"{origin.__name__}[{', '.join(shape(argument) for argument in arguments)}]"
    return str(annotation.__name__)


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
