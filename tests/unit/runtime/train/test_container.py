"""`fetch` and `publish` around a user's own container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pytest
import skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mainspring.api.contract import TrainReport, TrainTask
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring_runtime import run
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor, sample
from mainspring_runtime.train import container
from tests.unit.runtime.train import tasks

CONTAINER = {"image": "registry.example/team/trainer:1"}


class Pod:
    """The directories and the environment that the three containers of a pod share."""

    def __init__(self, root: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.root = root
        self.work = root / "work"
        self.work.mkdir()
        self.task: TrainTask = tasks.make_task(root, dataset, container=CONTAINER, **options)
        self.said: list[tuple[int, str]] = []
        for name in ("input", "output"):
            monkeypatch.setenv(f"MAINSPRING_{name.upper()}", str(self.work / name))
        monkeypatch.setenv("MAINSPRING_EVENTS", str(self.work / "events.jsonl"))
        container.fetch(self.task, self.work, self.say)

    @property
    def output(self) -> Path:
        return self.work / "output"

    def say(self, percent: int, stage: str) -> None:
        self.said.append((percent, stage))

    def publish(self) -> TrainReport:
        return container.publish(self.task, self.work, 1, self.say)

    def refused(self) -> PermanentError:
        with pytest.raises(PermanentError) as raised:
            self.publish()
        return raised.value


@pytest.fixture
def pod(tmp_path: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, flowers, monkeypatch)


def training_rows() -> tuple[pandas.DataFrame, pandas.Series]:
    """As a user's code reads them."""
    task = run.load()
    rows = pandas.read_parquet(task.train)
    return rows[task.facts["features"]], rows[task.facts["target"]]


def test_the_container_gets_everything_but_the_test_rows(pod: Pod) -> None:
    handed = {
        path.relative_to(pod.work / "input").as_posix() for path in (pod.work / "input").rglob("*") if path.is_file()
    }
    assert handed == {"run.json", "dataset/columns.json", "dataset/dataset.json", "dataset/data/train.parquet"}
    assert not list(pod.work.rglob("*test*"))


def test_run_json_says_what_to_train(pod: Pod) -> None:
    facts = run.load().facts
    assert facts["seed"] == 7
    assert (facts["task"], facts["target"], len(facts["features"])) == ("Classification", "species", 4)
    assert facts["dataset"]["digest"] == pod.task.dataset.artifact.digest


def test_validation_rows_are_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.runtime.train import prepared_data

    Pod(tmp_path, prepared_data.iris(tmp_path / "data", validation=0.2), monkeypatch)
    validation = run.load().validation
    assert validation is not None
    assert len(pandas.read_parquet(validation)) == 30


def test_what_an_earlier_attempt_wrote_is_gone(pod: Pod) -> None:
    (pod.output / "model.skops").write_text("half")
    container.fetch(pod.task, pod.work, pod.say)
    assert list(pod.output.iterdir()) == []


def test_a_skops_model_of_a_frame_is_completed_and_measured(pod: Pod) -> None:
    rows, target = training_rows()
    reordered = rows[rows.columns[::-1]]
    skops.io.dump(LogisticRegression(max_iter=500).fit(reordered, target), pod.output / "model.skops")
    (pod.output / "metrics.json").write_text('{"metrics": [{"name": "accuracy", "value": 0.1}]}')
    report = pod.publish()
    assert report.format == "skops"
    assert [item.name for item in report.inputs] == list(reordered.columns)
    assert {metric.name: metric.value for metric in report.metrics}[Metric.ACCURACY] > 0.8
    directory = tasks.directory_of(report)
    loaded = predictor.load(directory)
    assert loaded.path == "sklearn"
    assert sample.read_sample(directory, loaded.signature) is not None
    assert tasks.read_json(directory, "profile.json")["prediction"]["source"] == "HeldOut"


def test_a_pipeline_that_selects_by_name_is_served_with_a_frame(
    tmp_path: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Pod(tmp_path, mixed, monkeypatch)
    rows, target = training_rows()
    encode = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore")
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"))
    chosen = ColumnTransformer([("numbers", numbers, ["amount", "visits"]), ("categories", encode, ["stage", "city"])])
    skops.io.dump(make_pipeline(chosen, LogisticRegression(max_iter=500)).fit(rows, target), pod.output / "model.skops")
    report = pod.publish()
    assert [item.name for item in report.inputs] == list(rows.columns)
    loaded = predictor.load(tasks.directory_of(report))
    assert all(column.nullable for column in loaded.signature.inputs if column.name != "epoch")
    assert "roc_auc" in {metric.name for metric in report.metrics}


def test_a_model_that_takes_no_missing_values_asks_for_complete_rows(pod: Pod) -> None:
    rows, target = training_rows()
    skops.io.dump(LogisticRegression(max_iter=500).fit(rows, target), pod.output / "model.skops")
    assert not any(item.nullable for item in pod.publish().inputs)


def test_a_model_that_takes_missing_values_keeps_nullable_columns(pod: Pod) -> None:
    rows, target = training_rows()
    skops.io.dump(HistGradientBoostingClassifier(max_iter=3).fit(rows, target), pod.output / "model.skops")
    assert all(item.nullable for item in pod.publish().inputs)


def test_a_model_trained_on_a_matrix_takes_features_in_order(pod: Pod) -> None:
    rows, target = training_rows()
    skops.io.dump(LogisticRegression(max_iter=500).fit(rows.to_numpy(), target), pod.output / "model.skops")
    assert [item.name for item in pod.publish().inputs] == list(rows.columns)


def test_an_onnx_model_is_measured_and_answers(pod: Pod) -> None:
    rows, target = training_rows()
    matrix = rows.to_numpy().astype(np.float32)
    model = LogisticRegression(max_iter=500).fit(matrix, target)
    (pod.output / "model.onnx").write_bytes(to_onnx(model, matrix[:1], options={"zipmap": False}).SerializeToString())
    report = pod.publish()
    assert report.format == "onnx"
    assert {metric.name: metric.value for metric in report.metrics}[Metric.ACCURACY] > 0.8
    loaded = predictor.load(tasks.directory_of(report))
    assert loaded.path == "onnx"
    columns = {str(name): rows[name].to_numpy() for name in rows}
    answer = loaded.predict(columns, ["predict", "predict_proba"])
    assert (answer["predict"] == model.predict(matrix)).mean() > 0.98
    np.testing.assert_allclose(answer["predict_proba"], model.predict_proba(matrix), atol=1e-5)


def test_an_onnx_regression_is_measured(tmp_path: Path, sugar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = Pod(tmp_path, sugar, monkeypatch)
    rows, target = training_rows()
    matrix = rows.to_numpy().astype(np.float32)
    (pod.output / "model.onnx").write_bytes(to_onnx(Ridge(0.01).fit(matrix, target), matrix[:1]).SerializeToString())
    report = pod.publish()
    assert {metric.name: metric.value for metric in report.metrics}[Metric.R2] > 0.4


def test_an_onnx_model_may_take_one_tensor_a_column(
    tmp_path: Path, sugar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Pod(tmp_path, sugar, monkeypatch)
    rows, target = training_rows()
    chosen = ColumnTransformer([("all", "passthrough", list(rows.columns))])
    model = make_pipeline(chosen, Ridge(0.01)).fit(rows.astype("float32"), target)
    types = [(name, FloatTensorType([None, 1])) for name in rows.columns]
    (pod.output / "model.onnx").write_bytes(to_onnx(model, initial_types=types).SerializeToString())
    report = pod.publish()
    assert report.format == "onnx"
    assert tasks.read_json(tasks.directory_of(report), "model.json")["inputs"] == "Columns"
    assert {metric.name: metric.value for metric in report.metrics}[Metric.R2] > 0.4


def test_an_onnx_model_with_other_inputs_is_custom(pod: Pod) -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    model = LogisticRegression().fit(matrix, ["setosa", "virginica"] * 10)
    (pod.output / "model.onnx").write_bytes(to_onnx(model, matrix[:1]).SerializeToString())
    report = pod.publish()
    assert report.format == "custom"
    assert any(note.startswith("model.onnx is not understood") for note in report.notes)


def test_a_pickle_needs_the_models_consent(tmp_path: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for root, allowed in ((tmp_path / "a", False), (tmp_path / "b", True)):
        pod = Pod(root, flowers, monkeypatch, model={"allowPickle": allowed})
        rows, target = training_rows()
        joblib.dump(LogisticRegression(max_iter=500).fit(rows, target), pod.output / "model.joblib")
        if not allowed:
            assert pod.refused().reason == "PickleNotAllowed"
            continue
        report = pod.publish()
        assert report.format == "joblib"
        assert predictor.load(tasks.directory_of(report), allow_pickle=True).path == "sklearn"


def test_any_other_format_is_published_as_it_is_with_its_own_figures(pod: Pod) -> None:
    (pod.output / "weights").mkdir()
    (pod.output / "weights" / "model.pt").write_bytes(b"tensors")
    (pod.output / "metrics.json").write_text('{"accuracy": 0.93}')
    report = pod.publish()
    assert report.format == "custom"
    assert [(metric.name, metric.value) for metric in report.metrics] == [("accuracy", 0.93)]
    assert "the model cannot be run here; its figures are those that the container wrote" in report.notes
    directory = tasks.directory_of(report)
    assert (directory / "weights" / "model.pt").read_bytes() == b"tensors"
    loaded = predictor.load(directory)
    assert loaded.path == "custom"
    with pytest.raises(PermanentError, match=r"spec\.runtime\.image"):
        loaded.predict({})


@pytest.mark.parametrize(("primary", "refused"), [("f1", False), ("recall", True)])
def test_the_primary_metric_must_be_among_the_containers_figures(
    tmp_path: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch, primary: str, refused: bool
) -> None:
    pod = Pod(tmp_path, flowers, monkeypatch, evaluation={"primary": primary})
    (pod.output / "model.pt").write_bytes(b"tensors")
    (pod.output / "metrics.json").write_text('{"accuracy": 0.93, "f1": 0.9}')
    if refused:
        assert "metrics.json lacks recall, which is spec.evaluation.primary" in pod.refused().message
    else:
        assert pod.publish().primary == Metric.F1


def test_other_bytes_are_another_custom_model(pod: Pod) -> None:
    digests = set()
    for content in (b"one", b"two"):
        container.fetch(pod.task, pod.work, pod.say)
        (pod.output / "model.pt").write_bytes(content)
        digests.add(pod.publish().model_digest)
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"r2": 0.9}', "metrics.json: r2 is not a metric for task: Classification"),
        ('{"glory": 0.9}', "metrics.json must be"),
        ("nothing", "metrics.json must be"),
    ],
)
def test_figures_that_make_no_sense_are_refused(pod: Pod, text: str, message: str) -> None:
    (pod.output / "model.pt").write_bytes(b"tensors")
    (pod.output / "metrics.json").write_text(text)
    error = pod.refused()
    assert error.reason == "InvalidMetrics"
    assert message in error.message


def test_files_that_the_container_wrote_itself_stay(pod: Pod) -> None:
    (pod.output / "model.pt").write_bytes(b"tensors")
    (pod.output / "card.md").write_text("# Mine")
    assert (tasks.directory_of(pod.publish()) / "card.md").read_text() == "# Mine"


@pytest.mark.parametrize(
    ("files", "reason", "message"),
    [
        ({}, "NoModelFile", "the container wrote nothing to $MAINSPRING_OUTPUT"),
        ({"card.md": "# x"}, "NoModelFile", "the container wrote only card.md"),
        ({"model.json": "{}"}, "ReservedFile", "save the model under another name"),
        ({"model.skops": "x"}, "InvalidModel", "model.skops"),
        ({"model.onnx": "x"}, "InvalidModel", "model.onnx cannot be loaded"),
    ],
)
def test_output_that_is_no_model_is_named(pod: Pod, files: dict[str, str], reason: str, message: str) -> None:
    for name, content in files.items():
        (pod.output / name).write_text(content)
    error = pod.refused()
    assert error.reason == reason
    assert message in error.message


def test_a_model_of_other_features_is_refused(pod: Pod) -> None:
    rows, target = training_rows()
    skops.io.dump(LogisticRegression(max_iter=500).fit(rows.assign(extra=1.0), target), pod.output / "model.skops")
    error = pod.refused()
    assert (error.reason, error.details) == ("FeatureMismatch", ("extra",))


def test_a_matrix_of_another_width_is_refused(pod: Pod) -> None:
    rows, target = training_rows()
    skops.io.dump(LogisticRegression(max_iter=500).fit(rows.to_numpy()[:, :2], target), pod.output / "model.skops")
    assert "takes 2 features without names, the Dataset has 4" in pod.refused().message


def test_a_model_of_other_classes_is_refused(pod: Pod) -> None:
    rows, target = training_rows()
    two = (target != "setosa").to_numpy()
    skops.io.dump(LogisticRegression(max_iter=500).fit(rows[two], target[two]), pod.output / "model.skops")
    assert pod.refused().reason == "ClassMismatch"


def test_a_regressor_for_classes_is_refused(pod: Pod) -> None:
    rows, _ = training_rows()
    skops.io.dump(Ridge().fit(rows, rows.iloc[:, 0]), pod.output / "model.skops")
    assert pod.refused().reason == "WrongTask"


def test_a_clusterer_is_refused_and_told_how_to_be_served(pod: Pod) -> None:
    rows, _ = training_rows()
    skops.io.dump(KMeans(3, n_init=1).fit(rows), pod.output / "model.skops")
    error = pod.refused()
    assert error.reason == "WrongTask"
    assert "python -m mainspring_runtime package" in error.message


def test_what_the_container_said_about_its_progress_is_passed_on(pod: Pod) -> None:
    run.progress(50, "half")
    with (pod.work / "events.jsonl").open("a") as events:
        events.write("not an event\n" + json.dumps({"percent": 900, "stage": "too far"}) + "\n")
    (pod.output / "model.pt").write_bytes(b"tensors")
    pod.publish()
    stages = [stage for _, stage in pod.said]
    assert "half" in stages
    assert "too far" not in stages
    percents = [percent for percent, _ in pod.said]
    assert percents == sorted(percents)


@pytest.mark.parametrize("name", ["model.pt", "model.skops", "metrics.json", "deep/model.pt"])
def test_a_link_is_refused_before_it_is_followed(pod: Pod, name: str) -> None:
    secret = pod.root / "secret"
    secret.write_text("not for the user")
    (pod.output / name).parent.mkdir(exist_ok=True)
    (pod.output / name).symlink_to(secret)
    error = pod.refused()
    assert error.reason == "InvalidArtifact"
    assert "is a link" in error.message
    assert secret.read_text() == "not for the user"


def test_a_directory_that_became_a_link_is_refused(pod: Pod) -> None:
    elsewhere = pod.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.pt").write_bytes(b"not for the user")
    pod.output.rmdir()
    pod.output.symlink_to(elsewhere)
    assert pod.refused().reason == "InvalidArtifact"


def test_a_directory_that_is_gone_has_no_model(pod: Pod) -> None:
    pod.output.rmdir()
    assert pod.refused().reason == "NoModelFile"
