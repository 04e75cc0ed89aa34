"""What is written about a model: the card, the figures, the MLflow description and the lock file."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import yaml

from mainspring.api.contract import TrainReport
from mainspring_runtime.train import command
from tests.unit.runtime.train import tasks


@pytest.fixture(scope="module")
def directory(logistic: TrainReport) -> Path:
    return tasks.directory_of(logistic)


def test_metrics_json_is_what_the_report_says(directory: Path, logistic: TrainReport) -> None:
    document = tasks.read_json(directory, "metrics.json")
    assert document["metrics"] == [metric.to_dict() for metric in logistic.metrics]
    assert document["primary"] == "roc_auc"
    assert document["rows"] == {"train": 960, "validation": 0, "test": 240}


def test_the_card_has_what_the_model_says_and_what_was_measured(tmp_path: Path, flowers: Path) -> None:
    model = {
        "owner": "botany@example.org",
        "description": "Which iris is it?",
        "intendedUse": "Gardens.",
        "limitations": "Three species only.",
        "license": "CC0-1.0",
        "tags": {"team": "green"},
    }
    estimator = {"class": "sklearn.linear_model.LogisticRegression", "params": {"C": 2.0, "max_iter": 500}}
    report = command.train(
        tasks.make_task(tmp_path, flowers, model=model, estimator=estimator), tmp_path / "work", 1, tasks.silent
    )
    card = (tasks.directory_of(report) / "card.md").read_text()
    assert card.startswith(
        "# table\n\nWhich iris is it?\n\n- Owner: botany@example.org\n- License: CC0-1.0\n- team: green\n"
    )
    for text in (
        "## Intended use\n\nGardens.",
        "## Limitations\n\nThree species only.",
        "**accuracy**",
        '`{"C": 2.0, "max_iter": 500}`',
        "petal width",
    ):
        assert text in card
    assert str(report.model_digest) in card


def test_sections_without_content_are_left_out(directory: Path) -> None:
    card = (directory / "card.md").read_text()
    assert "## Intended use" not in card
    assert card.startswith("# table\n\n## Metrics")


def test_the_mlflow_description_names_both_files(directory: Path) -> None:
    document = yaml.safe_load((directory / "MLmodel").read_text())
    assert document["flavors"]["sklearn"]["pickled_model"] == "model.skops"
    assert document["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert document["flavors"]["onnx"]["data"] == "model.onnx"
    assert document["flavors"]["python_function"]["loader_module"] == "mlflow.onnx"
    assert '"name": "category"' in document["signature"]["inputs"]
    assert '"float32"' in document["signature"]["inputs"]


def test_without_a_graph_mlflow_loads_scikit_learn(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, "sklearn.neighbors.NearestCentroid")
    document = yaml.safe_load((tasks.directory_of(report) / "MLmodel").read_text())
    assert set(document["flavors"]) == {"sklearn", "python_function"}
    assert document["flavors"]["python_function"]["model_path"] == "model.skops"


def test_the_lock_file_has_every_installed_package(directory: Path) -> None:
    lines = (directory / "requirements.lock").read_text().splitlines()
    assert lines == sorted(lines)
    assert f"scikit-learn=={metadata.version('scikit-learn')}" in lines
    assert len(lines) == len({item.name.lower().replace("_", "-") for item in metadata.distributions()})
