"""xgboost and lightgbm in a TrainingRun: labels of any type, the reviewed list, the ONNX path, the same bytes again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from mainspring.api.contract import TrainReport
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor, sample
from mainspring_runtime.train import boosting
from tests.unit.runtime.train import tasks

PARAMS = {"xgboost": {"n_estimators": 20}, "lightgbm": {"n_estimators": 20, "verbose": -1}}
CLASSIFIERS = ("xgboost.XGBClassifier", "lightgbm.LGBMClassifier")
REGRESSORS = ("xgboost.XGBRegressor", "lightgbm.LGBMRegressor")


def train(root: Path, dataset: Path, class_: str, **options: object) -> TrainReport:
    root.mkdir(exist_ok=True)
    return tasks.train(root, dataset, class_, params=PARAMS[class_.partition(".")[0]], **options)  # type: ignore[arg-type]


def require_fast_and_equal(report: TrainReport) -> None:
    directory = tasks.directory_of(report)
    fast, slow = predictor.load(directory), predictor.load(directory, path="sklearn")
    assert (fast.path, fast.fallback_reason) == ("onnx", None)
    rows = sample.read_sample(directory, fast.signature)
    assert rows is not None
    outputs = fast.signature.output_names
    assert sample.difference(slow.predict(rows.columns, outputs), fast.predict(rows.columns, outputs)) is None


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_classifiers_with_auto_on_mixed_columns_take_the_onnx_path(tmp_path: Path, mixed: Path, class_: str) -> None:
    """The labels are texts, which xgboost does not take."""
    report = train(tmp_path, mixed, class_)
    require_fast_and_equal(report)
    found = predictor.load(tasks.directory_of(report)).signature
    assert (found.classes, found.outputs[0].datatype) == (("no", "yes"), "BYTES")


@pytest.mark.parametrize("class_", REGRESSORS)
def test_regressors_on_mixed_columns_take_it_too(tmp_path: Path, costs: Path, class_: str) -> None:
    require_fast_and_equal(train(tmp_path, costs, class_))


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_three_classes_take_it_too(tmp_path: Path, flowers: Path, class_: str) -> None:
    report = train(tmp_path, flowers, class_, preprocessing="None")
    require_fast_and_equal(report)
    assert {metric.name: metric.value for metric in report.metrics}["accuracy"] > 0.8


def test_calibration_of_a_booster_takes_it_too(tmp_path: Path, mixed: Path) -> None:
    require_fast_and_equal(train(tmp_path, mixed, "xgboost.XGBClassifier", calibrate=True, threshold="Tuned"))


def test_a_graph_that_is_not_equal_is_not_used(tmp_path: Path, mixed: Path) -> None:
    """Calibration asks LightGBM for raw scores, and the converter gives it probabilities."""
    report = train(tmp_path, mixed, "lightgbm.LGBMClassifier", calibrate=True)
    loaded = predictor.load(tasks.directory_of(report))
    assert (loaded.path, loaded.platform) == ("sklearn", "lightgbm_skops")
    assert loaded.fallback_reason is not None
    assert "ONNX and scikit-learn disagree" in loaded.fallback_reason


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_training_again_gives_the_same_model(tmp_path: Path, mixed: Path, class_: str) -> None:
    first, second = (train(tmp_path / name, mixed, class_) for name in ("a", "b"))
    assert first.model_digest == second.model_digest


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_a_library_that_is_not_there_names_the_image_that_has_it(
    tmp_path: Path, mixed: Path, class_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, class_.partition(".")[0], None)
    with pytest.raises(PermanentError, match=r"set spec\.image to the image runtime-boosting") as raised:
        train(tmp_path, mixed, class_)
    assert raised.value.reason == "MissingModule"


@pytest.mark.parametrize("class_", CLASSIFIERS)
def test_a_model_of_a_library_that_is_not_there_names_the_image_too(tmp_path: Path, mixed: Path, class_: str) -> None:
    """By ONNX it is served all the same."""
    directory = tasks.directory_of(train(tmp_path, mixed, class_))
    library = class_.partition(".")[0]
    code = f"""
import sys
from pathlib import Path
sys.modules[{library!r}] = None
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor
assert predictor.load(Path({str(directory)!r})).path == "onnx"
try:
    predictor.load(Path({str(directory)!r}), path="sklearn")
except PermanentError as error:
    assert error.reason == "MissingModule" and "the image runtime-boosting" in error.message, error.message
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thresholds_of_lightgbm_are_rounded_down_to_float32() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 2))
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(rows, rows[:, 0])
    before = model.booster_.model_to_string()
    after = lightgbm.Booster(model_str=boosting.rounded_down(before)).model_to_string()
    found = [thresholds(text) for text in (before, after)]
    assert len(found[0]) == len(found[1]) > 10
    assert (found[1] <= found[0]).all()
    assert (found[1] == found[1].astype(np.float32)).all()
    assert (found[0] - found[1] < 1e-6).all()


def thresholds(text: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    lines = [line.removeprefix("threshold=").split() for line in text.splitlines() if line.startswith("threshold=")]
    return np.array([float(value) for line in lines for value in line])
