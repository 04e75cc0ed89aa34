"""`python -m mainspring_runtime package`: from files to a ModelVersion that can be applied and served."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pandas
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import document, predictor
from mainspring_runtime.package import command
from tests.unit.runtime.package import packing
from tests.unit.runtime.package.kinds import BY_NAME


@dataclass(frozen=True)
class Said:
    """What a call printed."""

    manifest: dict[str, Any]
    notes: str

    def fetched(self, target: Path) -> Path:
        """The published directory, verified by the digest of the manifest."""
        artifact = self.manifest["spec"]["artifact"]
        artifacts.fetch(artifact["uri"], artifact["digest"], target)
        return target


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """`model.skops` of a pipeline with strings, and its rows with the target among them."""
    rows = packing.mixed()
    skops.io.dump(BY_NAME["columns by name"].fitted(), tmp_path / "model.skops")
    rows.assign(churned=packing.labels()).to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


def arguments(files: Path, *others: str, model: str = "model.skops", example: str = "rows.csv") -> list[str]:
    basics = ["--model", files / model, "--example", files / example, "--to", files / "store", "--name", "churn"]
    return ["package", *map(str, basics), *others]


def package(files: Path, capsys: pytest.CaptureFixture[str], *others: str, **names: str) -> Said:
    command.main(arguments(files, *others, **names))
    out, err = capsys.readouterr()
    return Said(yaml.safe_load(out), err)


def refused(files: Path, *others: str, **names: str) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        command.main(arguments(files, *others, **names))
    return raised.value


def test_the_command_prints_a_manifest_and_nothing_else_on_standard_output(files: Path) -> None:
    asked = [sys.executable, "-m", "mainspring_runtime", *arguments(files, "--exclude", "churned", "--version", "7")]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    manifest = yaml.safe_load(done.stdout)
    assert (manifest["kind"], manifest["metadata"]) == ("ModelVersion", {"name": "churn-v7"})
    spec = ModelVersionSpec.model_validate(manifest["spec"])
    assert (spec.model, spec.number, spec.task, spec.artifact.format) == ("churn", 7, "Classification", "skops")
    assert [item.name for item in spec.inputs or ()] == ["a", "b", "c", "stage", "visits"]
    assert f"published {spec.artifact.size} bytes as {spec.artifact.digest}" in done.stderr


def test_what_was_published_is_verified_and_answers(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = package(files, capsys, "--exclude", "churned")
    directory = said.fetched(files / "fetched")
    assert {path.name for path in directory.iterdir()} == {
        "MLmodel", "manifest.json", "model.json", "model.onnx", "model.skops", "profile.json", "requirements.lock",
        "sample.npz", "signature.json",
    }  # fmt: skip
    loaded = predictor.load(directory)
    rows = packing.mixed()
    expected = BY_NAME["columns by name"].fitted().predict(rows)
    assert (loaded.predict(packing.columns_of(loaded, rows))["predict"] == expected).all()


def test_packaging_again_gives_the_same_digest(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (package(files, capsys, "--exclude", "churned").manifest for _ in range(2))
    assert first == second


def test_no_row_of_the_example_is_published(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = packing.mixed()
    said = package(files, capsys, "--exclude", "churned")
    directory = said.fetched(files / "fetched")
    loaded = predictor.load(directory)
    sample = predictor.samples.read_sample(directory, loaded.signature)
    assert sample is not None
    drawn = set(zip(sample.columns["a"], sample.columns["b"], sample.columns["c"], strict=True))
    assert not drawn & set(zip(rows["a"], rows["b"], rows["c"], strict=True))


@pytest.mark.parametrize("format_", ["json", "jsonl", "parquet"])
def test_example_rows_come_in_any_table_format(files: Path, capsys: pytest.CaptureFixture[str], format_: str) -> None:
    rows = packing.mixed()
    if format_ == "parquet":
        rows.to_parquet(files / "rows.parquet")
    else:
        rows.to_json(files / f"rows.{format_}", orient="records", lines=format_ == "jsonl", double_precision=15)
    said = package(files, capsys, example=f"rows.{format_}")
    kinds = {item["name"]: item["datatype"] for item in said.manifest["spec"]["inputs"]}
    assert kinds == {"a": "FP64", "b": "FP64", "c": "FP64", "stage": "BYTES", "visits": "INT64"}


def test_a_column_may_be_missing_if_it_is_in_the_example_or_said_to(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = packing.mixed()
    rows.loc[3, "a"] = None
    rows.to_csv(files / "gaps.csv", index=False)
    said = package(files, capsys, "--nullable", "visits", example="gaps.csv")
    found = {item["name"]: item.get("nullable", False) for item in said.manifest["spec"]["inputs"]}
    assert found == {"a": True, "b": False, "c": False, "stage": False, "visits": True}


def test_a_model_with_its_own_libraries_names_its_image(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = "registry.example.org/mainspring/runtime-boosting:0.1.0"
    spec = package(files, capsys, "--exclude", "churned", "--image", image, "--namespace", "lab").manifest
    assert spec["metadata"]["namespace"] == "lab"
    read = ModelVersionSpec.model_validate(spec["spec"])
    assert read.source is not None
    assert (read.runtime_image, read.source.image) == (image, image)


def test_a_pickle_becomes_skops_when_it_may_be_read(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joblib.dump(BY_NAME["columns by name"].fitted(), files / "model.joblib")
    error = refused(files, "--exclude", "churned", model="model.joblib")
    assert (error.reason, "--allow-pickle" in error.message) == ("PickleNotAllowed", True)
    said = package(files, capsys, "--exclude", "churned", "--allow-pickle", model="model.joblib")
    assert said.manifest["spec"]["artifact"]["format"] == "skops"


def half(table: Any) -> Any:
    return table / 2


def test_types_that_the_model_must_trust_are_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_pipeline(FunctionTransformer(half), LogisticRegression()).fit(packing.numbers(), packing.labels())
    skops.io.dump(model, files / "own.skops")
    packing.numbers().to_csv(files / "numbers.csv", index=False)
    name = f"{half.__module__}.half"
    error = refused(files, model="own.skops", example="numbers.csv")
    assert (error.reason, error.details) == ("UntrustedTypes", (name,))
    said = package(files, capsys, "--trusted-type", name, model="own.skops", example="numbers.csv")
    assert f"set spec.trustedTypes of the Model to: {name}" in said.notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--exclude", "chruned"], "the example has no column 'chruned'; it has a, b, c, stage, visits, churned"),
        (["--exclude", "stage"], "the model was trained on the column 'stage', which the example has not"),
        (["--name", "Churn!"], "--name 'Churn!' must be the name of a Model"),
    ],
)
def test_what_is_wrong_is_named(files: Path, options: list[str], message: str) -> None:
    assert message in refused(files, *options).message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.json", '{"a": 1}', "must be a list of rows"),
        ("rows.json", "[1, 2", "is not JSON"),
        ("rows.csv", "a,b,c,stage,visits\n", "has no rows"),
        ("rows.txt", "a b c", "the format cannot be told"),
        ("absent.csv", None, "does not exist"),
    ],
)
def test_a_file_that_is_no_table_is_named(files: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (files / name).write_text(content)
    assert message in refused(files, example=name).message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.pt", "model.pt is none of .skops, .joblib"),
        ("absent.skops", "absent.skops does not exist"),
        ("broken.skops", "broken.skops cannot be loaded"),
        ("broken.onnx", "the ONNX file cannot be loaded"),
        ("broken.ubj", "broken.ubj cannot be loaded"),
        ("broken.txt", "broken.txt cannot be loaded"),
    ],
)
def test_a_file_that_is_no_model_is_named(files: Path, name: str, message: str) -> None:
    if not name.startswith("absent"):
        (files / name).write_bytes(b"tensors")
    assert message in refused(files, "--exclude", "churned", model=name).message


def test_columns_without_names_must_be_as_many_as_the_model_takes(files: Path) -> None:
    skops.io.dump(LogisticRegression().fit(packing.numbers().to_numpy(), packing.labels()), files / "plain.skops")
    pandas.DataFrame({"a": [1.0], "b": [2.0]}).to_csv(files / "two.csv", index=False)
    message = refused(files, model="plain.skops", example="two.csv").message
    assert "the model takes 3 columns, the example has 2: a, b" in message


def test_text_that_looks_like_numbers_stays_text_if_it_is_said_so(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = packing.mixed().assign(visits=lambda frame: frame["visits"].astype(str))
    skops.io.dump(BY_NAME["sparse one-hot"].make().fit(rows[["stage", "visits"]]), files / "codes.skops")
    rows[["stage", "visits"]].to_csv(files / "codes.csv", index=False)
    said = package(files, capsys, "--text", "visits", model="codes.skops", example="codes.csv")
    assert [item["datatype"] for item in said.manifest["spec"]["inputs"]] == ["BYTES", "BYTES"]
    assert "task" not in said.manifest["spec"]


def test_a_directory_without_a_document_says_how_to_make_one(files: Path) -> None:
    with pytest.raises(PermanentError, match="python -m mainspring_runtime package"):
        document.read_document(files)


def test_a_small_example_makes_no_profile(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packing.mixed(5).to_csv(files / "few.csv", index=False)
    directory = package(files, capsys, example="few.csv").fetched(files / "fetched")
    assert not (directory / "profile.json").exists()
    assert json.loads((directory / "signature.json").read_text())["inputs"][3]["kind"] == "String"
