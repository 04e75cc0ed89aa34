"""Which models take the ONNX path, and that nothing takes it without having been proved equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mainspring.api.v1alpha1.trainingrun import Estimator, Preprocessing
from mainspring_runtime import prepared, threads
from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.onnx_model import OnnxModel
from mainspring_runtime.train import admission, onnx_export, splits, synthetic, training
from mainspring_runtime.train.training import Trained
from tests.unit.runtime.train import tasks

CLASSIFIERS = (
    "linear_model.LogisticRegression",
    "ensemble.RandomForestClassifier",
    "ensemble.HistGradientBoostingClassifier",
)
REGRESSORS = ("linear_model.Ridge", "ensemble.RandomForestRegressor", "ensemble.HistGradientBoostingRegressor")


SMALL = {
    "RandomForestClassifier": {"n_estimators": 30},
    "RandomForestRegressor": {"n_estimators": 30},
    "HistGradientBoostingClassifier": {"max_iter": 20},
    "HistGradientBoostingRegressor": {"max_iter": 20},
    "LogisticRegression": {"max_iter": 5000},
}


def fit(dataset: Path, class_: str, **estimator: object) -> tuple[Trained, prepared.PreparedDataset, prepared.Rows]:
    described = prepared.read_dataset(dataset)
    rows = described.rows("train")
    spec = Estimator.model_validate(
        {"class": f"sklearn.{class_}", "params": SMALL.get(class_.partition(".")[2]), **estimator}
    )
    if spec.preprocessing is Preprocessing.NONE:
        described, parts = splits.require_complete(described, splits.read_splits(described))
        rows = parts.train
    with threads.limited(1):
        return training.train(described, rows, None, spec, 7, tasks.silent), described, rows


def admit(directory: Path, dataset: Path, class_: str, **estimator: object) -> Trained:
    trained, described, rows = fit(dataset, class_, **estimator)
    return admission.admit(directory, trained, described, rows, 7, 1)


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_linear_forest_and_boosting_with_auto_on_mixed_columns_take_the_onnx_path(
    tmp_path: Path, mixed: Path, class_: str
) -> None:
    found = admit(tmp_path, mixed, class_).document.onnx
    assert found.admitted, found.reason
    assert (tmp_path / "model.onnx").is_file()


@pytest.mark.parametrize("class_", REGRESSORS)
def test_regressors_on_mixed_columns_take_it_too(tmp_path: Path, costs: Path, class_: str) -> None:
    found = admit(tmp_path, costs, class_).document.onnx
    assert found.admitted, found.reason


@pytest.mark.parametrize("class_", [*CLASSIFIERS, "svm.SVC", "linear_model.RidgeClassifier", "svm.LinearSVC"])
def test_more_than_two_classes_and_decision_values_take_it_too(tmp_path: Path, flowers: Path, class_: str) -> None:
    found = admit(tmp_path, flowers, class_).document.onnx
    assert found.admitted, found.reason


@pytest.mark.parametrize("class_", ["svm.LinearSVC", "linear_model.RidgeClassifier", "svm.SVC"])
def test_the_decision_value_of_two_classes_speaks_for_the_second(tmp_path: Path, mixed: Path, class_: str) -> None:
    trained = admit(tmp_path, mixed, class_)
    assert trained.document.onnx.admitted, trained.document.onnx.reason
    assert [(item.name, item.shape) for item in trained.signature.outputs] == [
        ("predict", (-1,)),
        ("decision_function", (-1,)),
    ]


@pytest.mark.parametrize(
    "options", [{"calibrate": True}, {"threshold": "Tuned"}, {"calibrate": True, "threshold": "Tuned"}]
)
def test_calibration_and_a_tuned_threshold_are_part_of_the_graph(
    tmp_path: Path, mixed: Path, options: dict[str, object]
) -> None:
    found = admit(tmp_path, mixed, "ensemble.HistGradientBoostingClassifier", **options).document.onnx
    assert found.admitted, found.reason


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_numbers_without_preprocessing_take_it_too(tmp_path: Path, tumours: Path, class_: str) -> None:
    found = admit(tmp_path, tumours, class_, preprocessing="None").document.onnx
    assert found.admitted, found.reason


def test_an_estimator_that_cannot_be_converted_is_named(tmp_path: Path, flowers: Path) -> None:
    found = admit(tmp_path, flowers, "neighbors.NearestCentroid").document.onnx
    assert not found.admitted
    assert "skl2onnx cannot convert NearestCentroid" in found.reason
    assert not (tmp_path / "model.onnx").exists()


def test_a_graph_that_disagrees_is_not_admitted(tmp_path: Path, mixed: Path) -> None:
    """Nearest neighbours break ties between equally distant rows in another order."""
    found = admit(tmp_path, mixed, "neighbors.KNeighborsClassifier").document.onnx
    assert not found.admitted
    assert "on 4000 synthetic rows, ONNX and scikit-learn disagree: predict" in found.reason
    assert not (tmp_path / "model.onnx").exists()


def test_the_proof_has_missing_unseen_and_boundary_values(mixed: Path) -> None:
    trained, dataset, rows = fit(mixed, "ensemble.HistGradientBoostingClassifier")
    assert trained.document.encoding is not None
    boundaries = onnx_export.tree_thresholds(
        onnx_export.export(trained.pipeline, trained.document), trained.document.encoding
    )
    columns = synthetic.draw(dataset.features, rows, admission.PROOF_ROWS, 7, boundaries)
    assert admission.PROOF_ROWS >= 1000
    assert np.isnan(columns["amount"]).any()
    assert {"", synthetic.UNSEEN_CATEGORY} <= set(columns["stage"])
    assert np.isin(columns["amount"], boundaries["amount"]).sum() > 100
    assert np.nanmax(columns["amount"]) > np.nanmax(rows.columns["amount"])


def test_thresholds_of_histogram_boosting_are_rounded_down_as_float32_values_need_it(
    flowers: Path, tmp_path: Path
) -> None:
    """skl2onnx rounds them to the nearest float32, which sends a value just above a threshold into the wrong branch."""
    trained, dataset, rows = fit(flowers, "ensemble.HistGradientBoostingClassifier")
    model = onnx_export.export(trained.pipeline, trained.document)
    assert trained.document.encoding is not None
    boundaries = onnx_export.tree_thresholds(model, trained.document.encoding)
    assert any(np.any(values != np.round(values, 3)) for values in boundaries.values())
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    columns = synthetic.draw(dataset.features, rows, 2000, 1, boundaries)
    expected = predicting.outputs(trained.predictor, columns)
    assert samples.difference(expected, OnnxModel(tmp_path, trained.document, 1).run(columns, tuple(expected))) is None


def test_a_forest_that_is_split_evenly_gives_one_label_on_both_paths(mixed: Path, tmp_path: Path) -> None:
    trained, dataset, rows = fit(
        mixed, "ensemble.RandomForestClassifier", params={"n_estimators": 10, "min_samples_leaf": 1}
    )
    (tmp_path / "model.onnx").write_bytes(onnx_export.export(trained.pipeline, trained.document).SerializeToString())
    columns = synthetic.draw(dataset.features, rows, 4000, 3)
    expected = predicting.outputs(trained.predictor, columns)
    even = np.abs(expected["predict_proba"][:, 0] - 0.5) < 1e-6
    assert even.sum() > 20
    found = OnnxModel(tmp_path, trained.document, 1).run(columns, tuple(expected))
    assert (found["predict"] == expected["predict"]).all()
    assert set(expected["predict"][even]) == {"no"}


def test_the_graph_is_whole_and_its_names_are_fixed(mixed: Path) -> None:
    trained, _, _ = fit(mixed, "linear_model.LogisticRegression")
    first, second = (onnx_export.export(trained.pipeline, trained.document) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert first.graph.name == onnx_export.GRAPH_NAME
    assert [item.name for item in first.graph.input] == ["numeric", "category"]
    assert [item.name for item in first.graph.output] == ["predict", "predict_proba"]
    produced = {name for node in first.graph.node for name in node.output}
    used = {name for node in first.graph.node for name in node.input}
    assert used - produced <= {"numeric", "category", ""} | {item.name for item in first.graph.initializer}


def test_the_order_in_which_the_converter_names_operator_sets_does_not_matter(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of a set: one training in some had another digest."""
    trained, _, _ = fit(mixed, "linear_model.LogisticRegression")
    usual = onnx_export.export(trained.pipeline, trained.document)
    convert = onnx_export.convert_sklearn

    def reversed_sets(*arguments: Any, **options: Any) -> Any:
        model = convert(*arguments, **options)
        sets = list(model.opset_import)[::-1]
        del model.opset_import[:]
        model.opset_import.extend(sets)
        return model

    monkeypatch.setattr(onnx_export, "convert_sklearn", reversed_sets)
    other = onnx_export.export(trained.pipeline, trained.document)
    assert len(usual.opset_import) == 2
    assert other.SerializeToString(deterministic=True) == usual.SerializeToString(deterministic=True)


@pytest.mark.parametrize("change", ["scores", "frame"])
def test_what_has_no_graph_says_why(mixed: Path, change: str) -> None:
    trained, _, _ = fit(mixed, "linear_model.LogisticRegression")
    document = (
        replace(trained.document, scores=None) if change == "scores" else replace(trained.document, encoding=None)
    )
    with pytest.raises(
        onnx_export.NotConvertible, match="gives no class scores" if change == "scores" else "takes a data frame"
    ):
        onnx_export.export(trained.pipeline, document)


def test_the_file_needs_nothing_but_standard_operators(tmp_path: Path, mixed: Path) -> None:
    admit(tmp_path, mixed, "ensemble.RandomForestClassifier", params={"n_estimators": 5})
    model = onnx.load(tmp_path / "model.onnx")
    assert {item.domain for item in model.opset_import} <= {"", "ai.onnx.ml"}
