from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.signature import Column, Output, Signature, from_json, read_signature, wire_datatype

SIGNATURE = Signature(
    inputs=(Column("age", "FP64", True, "Integer"), Column("stage", "BYTES", True, "Category", ("I", "Ⅱ"))),
    outputs=(Output("predict", "BYTES", (-1,)), Output("predict_proba", "FP64", (-1, 2))),
    classes=("no", "yes"),
)


def test_a_signature_survives_being_written_and_read(tmp_path: Path) -> None:
    (tmp_path / "signature.json").write_text(SIGNATURE.to_json())
    assert read_signature(tmp_path) == SIGNATURE


def test_what_an_ordinary_model_does_not_say_is_not_written() -> None:
    """Versions from before these fields are read the same, and keep their digest when they are trained again."""
    written = json.loads(SIGNATURE.to_json())["outputs"]
    assert written == [
        {"name": "predict", "datatype": "BYTES", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]


def test_names_of_the_last_dimension_survive(tmp_path: Path) -> None:
    outputs = (
        Output("predict_proba_0", "FP64", (-1, 2), classes=(0, 1)),
        Output("transform", "FP64", (-1, 1), columns=("a",)),
    )
    named = replace(SIGNATURE, outputs=outputs, classes=None)
    assert from_json(named.to_json()) == named


def test_equal_signatures_are_equal_bytes() -> None:
    assert from_json(SIGNATURE.to_json()).to_json() == SIGNATURE.to_json()


@pytest.mark.parametrize(
    ("kind", "nullable", "datatype"),
    [
        ("Float", True, "FP64"),
        ("Float", False, "FP64"),
        ("Integer", True, "FP64"),
        ("Integer", False, "INT64"),
        ("Boolean", True, "FP64"),
        ("Boolean", False, "BOOL"),
        ("Category", True, "BYTES"),
        ("String", False, "BYTES"),
        ("Timestamp", True, "BYTES"),
    ],
)
def test_numbers_that_may_be_missing_are_floats_on_the_wire(kind: str, nullable: bool, datatype: str) -> None:
    assert wire_datatype(kind, nullable) == datatype


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": "Regression", "inputs": [{"name": "a"}], "outputs": []}'])
def test_what_is_no_signature_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "signature.json").write_text(text)
    with pytest.raises(PermanentError, match=r"signature\.json is not a signature") as raised:
        read_signature(tmp_path)
    assert raised.value.reason == "InvalidSignature"


def test_a_missing_signature_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"no signature\.json"):
        read_signature(tmp_path)
