from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from mainspring.api.contract import TrainReport
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor, sample
from mainspring_runtime.model.trusted_types import TRUSTED_TYPES
from tests.unit.runtime.train import tasks


@pytest.fixture
def version(logistic: TrainReport, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tasks.directory_of(logistic), tmp_path / "version"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(directory: Path, **options: Any) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        predictor.load(directory, **options)
    return raised.value


def test_both_paths_give_the_same_answers(version: Path) -> None:
    fast, slow = predictor.load(version), predictor.load(version, path="sklearn")
    assert (fast.path, slow.path) == ("onnx", "sklearn")
    rows = sample.read_sample(version, fast.signature)
    assert rows is not None
    outputs = fast.signature.output_names
    assert sample.difference(slow.predict(rows.columns, outputs), fast.predict(rows.columns, outputs)) is None
    assert fast.predict(rows.columns)["predict"].tolist() == rows.expected["predict"].tolist()


def test_answers_have_the_dtypes_of_the_signature(version: Path) -> None:
    for path in (None, "sklearn"):
        loaded = predictor.load(version, path=path)
        rows = sample.read_sample(version, loaded.signature)
        assert rows is not None
        answer = loaded.predict(rows.columns, ["predict", "predict_proba"])
        assert set(answer["predict"].tolist()) <= {"no", "yes"}
        assert answer["predict_proba"].dtype == np.float64
        assert answer["predict_proba"].shape == (len(answer["predict"]), 2)


def test_the_fast_path_imports_neither_scikit_learn_nor_pandas(logistic: TrainReport) -> None:
    code = f"""
import sys
from pathlib import Path
from mainspring_runtime.model import predictor
assert predictor.load(Path({str(tasks.directory_of(logistic))!r})).path == "onnx"
heavy = {{"sklearn", "pandas", "pyarrow", "duckdb", "skl2onnx", "skops", "scipy", "onnx", "pydantic"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_document_of_a_trained_model_has_no_field_of_packaged_ones(version: Path) -> None:
    """What was trained before they came is read the same, and has the same digest when it is trained again."""
    assert set(json.loads((version / "model.json").read_text())) == {
        "classes", "encoding", "estimator", "features", "file", "format", "inputs", "modelDigest", "onnx", "positive",
        "scores", "task", "tensor", "threshold",
    }  # fmt: skip
    loaded = predictor.load(version)
    assert (loaded.document.methods, loaded.document.argmax, loaded.platform) == ((), False, "onnxruntime_onnx")


def test_a_graph_that_does_not_reproduce_the_sample_is_left_for_scikit_learn(version: Path) -> None:
    model = onnx.load(version / "model.onnx")
    (limit,) = [item for item in model.graph.initializer if item.name.endswith("limit")]
    limit.CopyFrom(onnx.numpy_helper.from_array(np.array(0.9, dtype=np.float32), limit.name))
    (version / "model.onnx").write_bytes(model.SerializeToString())
    loaded = predictor.load(version)
    assert loaded.path == "sklearn"
    assert loaded.fallback_reason is not None
    assert "predict differs in" in loaded.fallback_reason
    assert refused(version, path="onnx").reason == "SampleNotReproduced"


def test_a_file_that_onnx_runtime_cannot_read_is_left_for_scikit_learn(version: Path) -> None:
    (version / "model.onnx").write_bytes(b"not a graph")
    loaded = predictor.load(version)
    assert loaded.path == "sklearn"
    assert loaded.fallback_reason is not None
    assert loaded.fallback_reason.startswith("ONNX Runtime")


def test_why_there_is_no_graph_is_said(version: Path) -> None:
    change(version / "model.json", onnx={"admitted": False, "reason": "of all the reasons"})
    assert predictor.load(version).fallback_reason == "of all the reasons"


def test_a_model_that_does_not_reproduce_its_sample_is_refused(version: Path) -> None:
    change(version / "model.json", threshold=0.999, onnx={"admitted": False, "reason": ""})
    error = refused(version)
    assert error.reason == "SampleNotReproduced"
    assert "model.skops does not reproduce sample.npz: predict differs in" in error.message


class Stranger(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A type that nobody has reviewed."""


def test_unreviewed_types_are_named_and_can_be_trusted(version: Path) -> None:
    skops.io.dump(Stranger(), version / "model.skops")
    name = f"{Stranger.__module__}.Stranger"
    error = refused(version, path="sklearn")
    assert (error.reason, error.details) == ("UntrustedTypes", (name,))
    assert "spec.trustedTypes" in error.message
    assert refused(version, path="sklearn", trusted_types=[name]).reason == "SampleNotReproduced"


@pytest.mark.parametrize("function", ["os.system", "builtins.eval", "subprocess.Popen"])
def test_nothing_on_the_reviewed_list_can_start_anything(function: str) -> None:
    assert function not in TRUSTED_TYPES
    assert not any(
        name.startswith(("os.", "builtins.", "subprocess.", "operator.", "_pickle.")) for name in TRUSTED_TYPES
    )


def test_reviewed_types_exist_in_the_installed_libraries() -> None:
    import importlib

    for name in sorted(TRUSTED_TYPES):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_a_pickle_is_not_opened_unless_allowed(version: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    joblib.dump(Bomb(marker), version / "model.joblib")
    change(version / "model.json", format="joblib", file="model.joblib", onnx={"admitted": False, "reason": ""})
    error = refused(version)
    assert error.reason == "PickleNotAllowed"
    assert "spec.allowPickle" in error.message
    assert not marker.exists()
    assert refused(version, allow_pickle=True).reason == "SampleNotReproduced"
    assert marker.exists()


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.json", "{}", "InvalidModel"),
        ("model.json", None, "InvalidModel"),
        ("signature.json", None, "InvalidSignature"),
        ("sample.npz", "nothing", "InvalidSample"),
        ("model.skops", "nothing", "InvalidModel"),
        ("model.skops", None, "InvalidModel"),
    ],
)
def test_a_damaged_file_is_named(version: Path, name: str, content: str | None, reason: str) -> None:
    (version / name).unlink()
    if content is not None:
        (version / name).write_text(content)
    error = refused(version, path="sklearn")
    assert error.reason == reason
    assert name in error.message


def test_a_missing_module_is_named(version: Path) -> None:
    (version / "model.joblib").write_bytes(b"cnowhere_at_all\nModel\n.")
    change(version / "model.json", format="joblib", file="model.joblib", onnx={"admitted": False, "reason": ""})
    error = refused(version, allow_pickle=True)
    assert error.reason == "MissingModule"
    assert "nowhere_at_all" in error.message


def test_unknown_outputs_and_missing_inputs_are_named(version: Path) -> None:
    loaded = predictor.load(version)
    rows = sample.read_sample(version, loaded.signature)
    assert rows is not None
    with pytest.raises(ValueError, match="unknown output 'logits'; this model has predict, predict_proba"):
        loaded.predict(rows.columns, ["logits"])
    with pytest.raises(ValueError, match="missing input 'amount'"):
        loaded.predict({name: values for name, values in rows.columns.items() if name != "amount"})


def test_a_version_without_a_sample_loads(version: Path) -> None:
    (version / "sample.npz").unlink()
    assert predictor.load(version).path == "onnx"


def test_no_row_of_the_sample_is_a_row_of_the_data(version: Path, mixed: Path) -> None:
    from mainspring_runtime.prepared import read_dataset

    loaded = predictor.load(version)
    rows = sample.read_sample(version, loaded.signature)
    assert rows is not None
    train = read_dataset(mixed).rows("train").columns
    real = set(zip(*(map(str, values) for values in train.values()), strict=True))
    drawn = set(zip(*(map(str, rows.columns[name]) for name in train), strict=True))
    assert not real & drawn
    assert set(rows.columns).isdisjoint({"visit", "age_group", "outcome", "seen_at"})


def test_skops_files_of_estimators_as_auto_makes_them_need_no_further_trust() -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    assert set(skops.io.get_untrusted_types(data=skops.io.dumps(model))) <= TRUSTED_TYPES
