"""`train` from task to report, on real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainspring.api.contract import TrainReport
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring_runtime import artifacts
from mainspring_runtime.__main__ import main as entry
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor
from mainspring_runtime.prepared import read_dataset
from mainspring_runtime.train import command
from tests.unit.runtime.train import prepared_data, tasks

FOREST = "sklearn.ensemble.RandomForestClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"
FILES = {"MLmodel", "card.md", "manifest.json", "metrics.json", "model.json", "model.onnx", "model.skops", "profile.json",
         "requirements.lock", "sample.npz", "signature.json"}  # fmt: skip


def refused(tmp_path: Path, dataset: Path, class_: str = LOGISTIC, **options: Any) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        tasks.train(tmp_path, dataset, class_, **options)
    return raised.value


def test_a_version_is_published_with_all_its_files_and_reported(tmp_path: Path, logistic: TrainReport) -> None:
    artifacts.fetch(logistic.uri, logistic.digest, tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} == FILES
    assert logistic.format == "skops"
    assert logistic.model_digest == tasks.read_json(tmp_path / "copy", "model.json")["modelDigest"]
    assert logistic.rows is not None
    assert (logistic.rows.train, logistic.rows.test) == (960, 240)
    assert logistic.threads == 1
    assert {"scikit-learn", "numpy", "skops", "onnxruntime"} <= set(logistic.libraries)
    assert "answers by ONNX Runtime, proved equal to scikit-learn" in logistic.notes


def test_inputs_and_outputs_are_in_the_terms_of_the_protocol(logistic: TrainReport) -> None:
    assert [(item.name, item.datatype, item.nullable) for item in logistic.inputs] == [
        ("amount", "FP64", True),
        ("visits", "FP64", True),
        ("epoch", "INT64", False),
        ("smoker", "FP64", True),
        ("stage", "BYTES", True),
        ("city", "BYTES", True),
        ("admitted", "BYTES", True),
    ]
    assert [(item.name, item.datatype, item.shape) for item in logistic.outputs] == [
        ("predict", "BYTES", [-1]),
        ("predict_proba", "FP64", [-1, 2]),
    ]


def test_figures_have_intervals_and_the_primary_is_among_them(logistic: TrainReport) -> None:
    assert logistic.primary == Metric.ROC_AUC
    found = {metric.name: metric for metric in logistic.metrics}
    auc = found[Metric.ROC_AUC]
    assert auc.lower is not None
    assert auc.upper is not None
    assert auc.lower < auc.value < auc.upper
    assert auc.rows == 240
    assert any("expected_calibration_error is left out" in note for note in logistic.notes)


def test_the_same_inputs_and_seed_give_the_same_model(tmp_path: Path, mixed: Path, logistic: TrainReport) -> None:
    again = tasks.train(tmp_path, mixed, LOGISTIC)
    assert again.model_digest == logistic.model_digest
    assert again.digest == logistic.digest


def test_another_seed_gives_another_model(tmp_path: Path, flowers: Path) -> None:
    first, second = (
        tasks.train(tmp_path, flowers, FOREST, seed=seed, params={"n_estimators": 5}).model_digest for seed in (1, 2)
    )
    assert first != second


def test_the_number_of_threads_is_not_part_of_a_forest(tmp_path: Path, flowers: Path) -> None:
    one, two = (tasks.train(tmp_path, flowers, FOREST, threads=count, params={"n_estimators": 5}) for count in (1, 2))
    assert one.model_digest == two.model_digest
    assert (one.threads, two.threads) == (1, 2)


def test_more_than_two_classes_are_measured_as_means_over_classes(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, FOREST, params={"n_estimators": 10})
    assert report.primary == Metric.ACCURACY
    assert Metric.ROC_AUC in {metric.name for metric in report.metrics}
    assert any("only 30 test rows" in note for note in report.notes)


def test_a_number_is_predicted_and_measured(tmp_path: Path, sugar: Path) -> None:
    report = tasks.train(tmp_path, sugar, "sklearn.linear_model.Ridge")
    assert report.primary == Metric.R2
    assert [(item.name, item.datatype, item.shape) for item in report.outputs] == [("predict", "FP64", [-1])]
    assert {metric.name for metric in report.metrics} == {
        Metric.R2,
        Metric.MEAN_ABSOLUTE_ERROR,
        Metric.ROOT_MEAN_SQUARED_ERROR,
        Metric.MEDIAN_ABSOLUTE_ERROR,
    }


def test_labels_that_are_numbers_are_answered_as_numbers(tmp_path: Path) -> None:
    rows = [float(index % 17) for index in range(200)]
    columns: dict[str, Any] = {"x": ("Float", rows), "sick": ("Boolean", [value > 8 for value in rows])}
    dataset = prepared_data.write_dataset(
        tmp_path / "data", columns, target="sick", classes=[False, True], positive=True
    )
    report = tasks.train(tmp_path, dataset, LOGISTIC)
    assert report.outputs[0].datatype == "INT64"
    loaded = predictor.load(tasks.directory_of(report))
    assert loaded.signature.classes == (0, 1)
    assert loaded.predict({"x": np.array([0.0, 16.0])})["predict"].tolist() == [0, 1]


def test_metrics_are_those_of_the_run_and_the_primary_is_added(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(
        tmp_path, flowers, FOREST, params={"n_estimators": 5}, evaluation={"metrics": ["f1"], "primary": "log_loss"}
    )
    assert [metric.name for metric in report.metrics] == [Metric.LOG_LOSS, Metric.F1]
    assert report.primary == Metric.LOG_LOSS


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"metrics": ["r2"]}, "spec.evaluation.metrics: r2 is not a metric for task: Classification"),
        ({"primary": "log_loss"}, "spec.evaluation.primary: log_loss needs probabilities"),
        ({"primary": "expected_calibration_error"}, "spec.evaluation.primary: expected_calibration_error"),
    ],
)
def test_a_metric_that_cannot_be_had_is_refused_by_the_name_of_the_field(
    tmp_path: Path, flowers: Path, evaluation: dict[str, Any], message: str
) -> None:
    class_ = FOREST if "expected" in message else "sklearn.linear_model.RidgeClassifier"
    error = refused(tmp_path, flowers, class_, evaluation=evaluation)
    assert error.reason == "InvalidMetric"
    assert message in error.message


def test_a_metric_of_another_task_is_refused_before_anything_is_trained(tmp_path: Path, sugar: Path) -> None:
    said: list[str] = []
    task = tasks.make_task(
        tmp_path, sugar, estimator={"class": "sklearn.linear_model.Ridge"}, evaluation={"primary": "f1"}
    )
    with pytest.raises(PermanentError, match=r"spec\.evaluation\.primary: f1 is not a metric for task: Regression"):
        command.train(task, tmp_path / "work", 1, lambda percent, stage: said.append(stage))
    assert not any("Fitting" in stage for stage in said)


def test_a_tuned_threshold_is_chosen_without_test_rows(tmp_path: Path, mixed: Path) -> None:
    tuned = tasks.train(tmp_path, mixed, LOGISTIC, threshold="Tuned")
    threshold = tasks.read_json(tasks.directory_of(tuned), "model.json")["threshold"]
    assert any(
        f"the threshold {threshold:.4g} gives the highest f1 on out-of-fold predictions of the training rows" in note
        for note in tuned.notes
    )
    replaced = with_other_test_rows(tmp_path, mixed)
    again = tasks.train(tmp_path, replaced, LOGISTIC, threshold="Tuned")
    assert again.model_digest == tuned.model_digest
    assert [metric.value for metric in again.metrics] != [metric.value for metric in tuned.metrics]


def with_other_test_rows(tmp_path: Path, dataset: Path) -> Path:
    """The same training rows; every second test row is gone."""
    import shutil

    import pyarrow.parquet as pq

    copy = Path(shutil.copytree(dataset, tmp_path / "other"))
    (copy / "manifest.json").unlink(missing_ok=True)
    path = copy / "data" / "test.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take(list(range(0, len(table), 2))), path)
    return copy


def test_validation_rows_choose_the_threshold_when_there_are_some(tmp_path: Path) -> None:
    dataset = prepared_data.mixed(tmp_path / "data", rows=600, validation=0.2)
    report = tasks.train(tmp_path, dataset, LOGISTIC, threshold="Tuned")
    assert any(note.endswith("on the validation rows") for note in report.notes)
    assert report.rows is not None
    assert report.rows.validation == 120


def test_a_calibrated_model_gives_better_probabilities(tmp_path: Path, mixed: Path) -> None:
    bare, calibrated = (
        tasks.train(
            tmp_path,
            mixed,
            "sklearn.naive_bayes.GaussianNB",
            calibrate=calibrate,
            evaluation={"metrics": ["log_loss"], "primary": "log_loss"},
        )
        for calibrate in (False, True)
    )
    assert calibrated.metrics[0].value < bare.metrics[0].value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"params": {"n_estimators": -1}}, "spec.estimator.params: The 'n_estimators' parameter"),
        ({"params": {"trees": 5}}, "has no parameter 'trees'"),
        ({"preprocessing": "None"}, "preprocessing: None gives the estimator a numeric matrix, and 'stage'"),
    ],
)
def test_what_the_estimator_cannot_do_is_said_by_the_field(
    tmp_path: Path, mixed: Path, options: dict[str, Any], message: str
) -> None:
    assert message in refused(tmp_path, mixed, FOREST, **options).message


@pytest.mark.parametrize("option", [{"calibrate": True}, {"threshold": "Tuned"}])
def test_what_only_classifiers_have_is_refused_for_regressors(
    tmp_path: Path, sugar: Path, option: dict[str, Any]
) -> None:
    error = refused(tmp_path, sugar, "sklearn.linear_model.Ridge", **option)
    assert error.reason == "InvalidParameters"
    assert next(iter(option)) in error.message


def test_an_estimator_that_refuses_the_rows_is_quoted(tmp_path: Path, sugar: Path) -> None:
    error = refused(tmp_path, sugar, "sklearn.isotonic.IsotonicRegression")
    assert error.reason == "TrainingFailed"
    assert error.message.startswith("IsotonicRegression refused the rows of the Dataset: ValueError")


def test_what_an_estimator_warns_about_is_a_note(tmp_path: Path, tumours: Path) -> None:
    report = tasks.train(tmp_path, tumours, LOGISTIC, params={"max_iter": 2})
    assert any("failed to converge" in note for note in report.notes)


def test_weights_change_the_model_and_need_an_estimator_that_takes_them(tmp_path: Path) -> None:
    columns = prepared_data.mixed_columns(400)
    kept = {name: columns[name] for name in ("amount", "visits", "stage", "importance", "outcome")}
    weighted = prepared_data.write_dataset(tmp_path / "a", kept, target="outcome", weight="importance")
    plain = prepared_data.write_dataset(tmp_path / "b", kept, target="outcome", features=["amount", "visits", "stage"])
    digests = {tasks.train(tmp_path, dataset, LOGISTIC).model_digest for dataset in (weighted, plain)}
    assert len(digests) == 2
    error = refused(tmp_path, weighted, "sklearn.neighbors.KNeighborsClassifier")
    assert error.reason == "WeightsNotSupported"
    assert "spec.weight (importance)" in error.message


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    dataset = prepared_data.write_dataset(
        tmp_path / "data", {"x": ("Float", [1.0, 2.0] * 20), "y": ("Category", ["a"] * 40)}, target="y"
    )
    assert "all training rows have the same 'y' (a)" in refused(tmp_path, dataset).message


def test_rows_without_a_target_are_a_note(tmp_path: Path) -> None:
    targets = ["a", "b", None, "b"] * 60
    columns: dict[str, Any] = {"x": ("Float", [float(index % 9) for index in range(240)]), "y": ("Category", targets)}
    report = tasks.train(tmp_path, prepared_data.write_dataset(tmp_path / "data", columns, target="y"), LOGISTIC)
    assert "60 rows without a target were left out" in report.notes


def test_a_positive_class_of_the_dataset_is_used(tmp_path: Path) -> None:
    report = tasks.train(
        tmp_path, prepared_data.breast_cancer(tmp_path / "data", positive="B"), "sklearn.naive_bayes.GaussianNB"
    )
    assert tasks.read_json(tasks.directory_of(report), "model.json")["positive"] == "B"


def test_an_estimator_of_the_users_own_package_gets_a_frame(
    tmp_path: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site"
    package.mkdir()
    (package / "clinic.py").write_text(OWN_PACKAGE)
    monkeypatch.syspath_prepend(str(package))
    task = tasks.make_task(
        tmp_path,
        mixed,
        estimator={"class": "clinic.ByName", "preprocessing": "None"},
        model={"trustedTypes": ["clinic.ByName"]},
    )
    report = command.train(task, tmp_path / "work", 1, tasks.silent)
    assert "answers by scikit-learn: the estimator takes a data frame" in report.notes
    loaded = predictor.load(tasks.directory_of(report), trusted_types=["clinic.ByName"])
    rows = read_dataset(mixed).rows("test")
    assert set(loaded.predict(rows.columns)["predict"]) == {"no", "yes"}


OWN_PACKAGE = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class ByName(ClassifierMixin, BaseEstimator):
    def fit(self, rows, target):
        assert str(rows["admitted"].dtype) == "datetime64[us, UTC]", rows.dtypes
        self.classes_ = np.unique(target)
        self.middle_ = float(rows["amount"].median())
        return self

    def predict_proba(self, rows):
        yes = 0.2 + 0.6 * (rows["amount"].fillna(0).to_numpy() > self.middle_) * (rows["stage"].to_numpy() != "I")
        return np.stack([1 - yes, yes], axis=1)

    def predict(self, rows):
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]
"""


def test_a_type_that_is_not_trusted_fails_the_run_and_not_the_service(
    tmp_path: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site"
    package.mkdir()
    (package / "ward.py").write_text(OWN_PACKAGE)
    monkeypatch.syspath_prepend(str(package))
    error = refused(tmp_path, mixed, "ward.ByName", preprocessing="None")
    assert (error.reason, error.details) == ("UntrustedTypes", ("ward.ByName",))


def test_the_command_reads_its_task_reports_and_says_how_it_ended(
    tmp_path: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    task = tasks.make_task(tmp_path, flowers, estimator={"class": LOGISTIC})
    (tmp_path / "task.json").write_text(json.dumps(task.to_dict()))
    monkeypatch.setenv("MAINSPRING_TASK", str(tmp_path / "task.json"))
    monkeypatch.setenv("MAINSPRING_REPORT_FILE", str(tmp_path / "report.json"))
    assert entry(["train", "--work", str(tmp_path / "work")]) == 0
    report = TrainReport.model_validate_json((tmp_path / "report.json").read_text())
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines[-1] == {"outcome": "Succeeded", "digest": report.digest, "reason": "", "message": "", "details": []}
    percents = [line["percent"] for line in lines if "percent" in line]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_a_changed_byte_of_the_dataset_stops_the_run(tmp_path: Path, flowers: Path) -> None:
    task = tasks.make_task(tmp_path, flowers, estimator={"class": LOGISTIC})
    stored = Path(task.dataset.artifact.uri.removeprefix("file://")) / "data" / "train.parquet"
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    with pytest.raises(PermanentError) as raised:
        command.train(task, tmp_path / "work", 1, tasks.silent)
    assert raised.value.reason == "ArtifactDigestMismatch"
