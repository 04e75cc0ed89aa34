"""Models in files of other libraries: ONNX graphs, and boosters as xgboost and lightgbm save them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas
import pytest
import xgboost
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.package import packaging, sources
from mainspring_runtime.package.packaging import Request
from tests.unit.runtime.package import packing
from tests.unit.runtime.package.packing import Array

ROWS = packing.numbers()
MATRIX = ROWS.to_numpy().astype(np.float32)


def package(root: Path, model: str, rows: pandas.DataFrame = ROWS, **options: Any) -> Predictor:
    rows.to_parquet(root / "rows.parquet")
    made = packaging.make(Request(root / model, root / "rows.parquet", **options), root / "work", 1)
    return predictor.load(made.directory)


def answers(loaded: Predictor, *outputs: str) -> list[Array]:
    found = loaded.predict(packing.columns_of(loaded, ROWS), outputs)
    return [found[name] for name in outputs]


def write_onnx(root: Path, model: Any, **options: Any) -> None:
    graph = to_onnx(model, MATRIX[:1], options=options or None)
    (root / "model.onnx").write_bytes(graph.SerializeToString())


def numbered() -> Array:
    return (packing.labels() == "yes").astype(np.int64)


def test_a_graph_of_a_classifier_answers_labels_and_probabilities(tmp_path: Path) -> None:
    model = LogisticRegression().fit(MATRIX, numbered())
    write_onnx(tmp_path, model, zipmap=False)
    loaded = package(tmp_path, "model.onnx")
    assert (loaded.path, loaded.signature.task, loaded.signature.classes) == ("onnx", "Classification", (0, 1))
    labels, probabilities = answers(loaded, "predict", "predict_proba")
    assert (labels == model.predict(MATRIX)).all()
    np.testing.assert_allclose(probabilities, model.predict_proba(MATRIX), atol=1e-5)


def test_classes_that_are_texts_are_known_when_they_are_named(tmp_path: Path) -> None:
    model = LogisticRegression().fit(MATRIX, packing.labels().astype(str))
    write_onnx(tmp_path, model, zipmap=False)
    assert package(tmp_path, "model.onnx").signature.classes is None
    (tmp_path / "again").mkdir()
    write_onnx(tmp_path / "again", model, zipmap=False)
    loaded = package(tmp_path / "again", "model.onnx", classes=("no", "yes"))
    assert loaded.signature.classes == ("no", "yes")
    assert (answers(loaded, "predict")[0] == model.predict(MATRIX)).all()


def test_labels_that_are_no_named_class_are_refused(tmp_path: Path) -> None:
    write_onnx(tmp_path, LogisticRegression().fit(MATRIX, packing.labels().astype(str)), zipmap=False)
    with pytest.raises(PermanentError, match="labels that are none of on, off"):
        package(tmp_path, "model.onnx", classes=("on", "off"))


@pytest.mark.parametrize("width", [1, 2])
def test_a_graph_of_a_regression_answers_values(tmp_path: Path, width: int) -> None:
    target = np.stack([packing.values()] * width, axis=1)
    model = Ridge().fit(MATRIX, target if width > 1 else target[:, 0])
    write_onnx(tmp_path, model)
    loaded = package(tmp_path, "model.onnx")
    assert [(item.name, item.shape) for item in loaded.signature.outputs] == [
        ("predict", (-1,) if width == 1 else (-1, width))
    ]
    np.testing.assert_allclose(answers(loaded, "predict")[0], model.predict(MATRIX), atol=1e-4)


def test_a_graph_may_take_a_tensor_for_each_column(tmp_path: Path) -> None:
    model = make_pipeline(ColumnTransformer([("all", "passthrough", list(ROWS))]), Ridge())
    model.fit(ROWS.astype("float32"), packing.values())
    graph = to_onnx(model, initial_types=[(name, FloatTensorType([None, 1])) for name in ROWS])
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    loaded = package(tmp_path, "model.onnx", ROWS[["c", "a", "b"]])
    assert loaded.document.inputs == "Columns"
    np.testing.assert_allclose(answers(loaded, "predict")[0], model.predict(ROWS.astype("float32")), atol=1e-4)


def test_a_graph_with_other_inputs_says_what_it_takes(tmp_path: Path) -> None:
    write_onnx(tmp_path, Ridge().fit(MATRIX, packing.values()))
    with pytest.raises(PermanentError, match=r"the graph takes X tensor\(float\) .*spec\.runtime\.image"):
        package(tmp_path, "model.onnx", ROWS[["a", "b"]])


def test_a_graph_that_answers_maps_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write_onnx(tmp_path, LogisticRegression().fit(MATRIX, numbered()), zipmap=True)
    with pytest.raises(PermanentError, match="zipmap=False"):
        package(tmp_path, "model.onnx")


def grade_numbers() -> Array:
    return np.unique(packing.grades().astype(str), return_inverse=True)[1]


@pytest.mark.parametrize("file", ["model.ubj", "model.json"])
@pytest.mark.parametrize("native", [False, True], ids=["by its classes for scikit-learn", "by its own interface"])
@pytest.mark.parametrize("target", [numbered, grade_numbers], ids=["two classes", "three classes"])
def test_an_xgboost_classifier_in_its_own_format(
    tmp_path: Path, file: str, native: bool, target: Callable[[], Array]
) -> None:
    expected = xgboost.XGBClassifier(n_estimators=5).fit(ROWS, target())
    (expected.get_booster() if native else expected).save_model(tmp_path / file)
    loaded = package(tmp_path, file)
    assert (loaded.path, loaded.signature.task) == ("onnx", "Classification")
    labels, probabilities = answers(loaded, "predict", "predict_proba")
    assert (labels == expected.predict(ROWS)).all()
    np.testing.assert_allclose(probabilities, expected.predict_proba(ROWS), atol=1e-5)


def test_an_xgboost_regression_in_its_own_format(tmp_path: Path) -> None:
    expected = xgboost.XGBRegressor(n_estimators=5).fit(MATRIX, packing.values())
    expected.save_model(tmp_path / "model.ubj")
    loaded = package(tmp_path, "model.ubj")
    assert loaded.signature.task == "Regression"
    np.testing.assert_allclose(answers(loaded, "predict")[0], expected.predict(ROWS), atol=1e-4)


@pytest.mark.parametrize("target", [numbered, grade_numbers], ids=["two classes", "three classes"])
@pytest.mark.parametrize("rows", [ROWS, ROWS.to_numpy()], ids=["with names", "without names"])
def test_a_lightgbm_classifier_in_its_own_format(tmp_path: Path, target: Callable[[], Array], rows: Any) -> None:
    expected = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, target())
    expected.booster_.save_model(tmp_path / "model.txt")
    loaded = package(tmp_path, "model.txt")
    assert loaded.document.inputs == ("Matrix" if isinstance(rows, np.ndarray) else "Frame")
    labels, probabilities = answers(loaded, "predict", "predict_proba")
    assert (labels == expected.predict(rows)).all()
    np.testing.assert_allclose(probabilities, expected.predict_proba(rows))


def test_a_lightgbm_regression_in_its_own_format(tmp_path: Path) -> None:
    expected = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(ROWS, packing.values())
    expected.booster_.save_model(tmp_path / "model.txt")
    loaded = package(tmp_path, "model.txt")
    assert (loaded.signature.task, loaded.path) == ("Regression", "sklearn")
    np.testing.assert_allclose(answers(loaded, "predict")[0], expected.predict(ROWS))


def test_without_lightgbm_a_model_of_its_format_names_the_image_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(ROWS, packing.values())
    expected.booster_.save_model(tmp_path / "model.txt")
    package(tmp_path, "model.txt")
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(PermanentError, match="the image runtime-boosting, which has it"):
        predictor.load(tmp_path / "work" / "version")
    with pytest.raises(PermanentError, match=r"mainspring\[boosting\]"):
        sources.load(tmp_path / "model.txt", (), False)
