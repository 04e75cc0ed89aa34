"""A packaged version is evaluated like any other: verified, loaded by both paths, proved on its sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mainspring.api.contract import ArtifactRef, EvaluateReport, EvaluateTask, ModelFacts
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import command
from mainspring_runtime.model import sample
from tests.unit.runtime.package import packing
from tests.unit.runtime.package.kinds import BY_NAME
from tests.unit.runtime.package.packing import Packed


def pack(root: Path, name: str) -> Packed:
    return packing.pack(root, BY_NAME[name].fitted(), BY_NAME[name].rows())


def evaluate(root: Path, directory: Path) -> EvaluateReport:
    published = artifacts.publish(directory, (root / "store").as_uri())
    task = EvaluateTask(
        namespace="lab",
        model_version="churn-v1",
        artifact=ArtifactRef(name="churn-v1", uri=published.uri, digest=published.digest),
        model=ModelFacts(name="churn", spec=ModelSpec()),
    )
    return command.evaluate(task, root / "evaluation", 1, lambda percent, stage: None)


@pytest.mark.parametrize("name", ["k-means", "multi-output forest", "text classifier", "lightgbm"])
def test_each_kind_is_verified(tmp_path: Path, name: str) -> None:
    report = evaluate(tmp_path, pack(tmp_path, name).made.directory)
    assert {item.name: (item.datatype, tuple(item.shape)) for item in report.outputs} == BY_NAME[name].outputs


def test_a_changed_estimator_does_not_reproduce_the_sample(tmp_path: Path) -> None:
    """Also when only an output that the graph does not have is another one."""
    packed = pack(tmp_path, "logistic")
    path = packed.made.directory / "sample.npz"
    arrays = dict(np.load(path))
    arrays["output_decision_function"] += 1
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(PermanentError, match=r"model\.skops does not reproduce sample\.npz: decision_function differs"):
        evaluate(tmp_path, packed.made.directory)


def test_answers_that_are_no_numbers_are_compared_too() -> None:
    expected = {"transform": np.array([[1.0, np.nan], [-np.inf, 2.0]])}
    assert sample.difference(expected, expected) is None
    others = {"transform": np.array([[1.0, 3.0], [-np.inf, 2.0]])}
    assert sample.difference(expected, others) == "transform has NaN or infinity in other places"
    assert sample.difference(others, expected) == "transform has NaN or infinity in other places"
    worse = {"transform": np.array([[1.0, np.nan], [-np.inf, 2.5]])}
    assert (sample.difference(expected, worse) or "").startswith("transform differs by up to 0.5")


def test_mlflow_is_told_what_a_packaged_model_takes(tmp_path: Path) -> None:
    told = yaml.safe_load((pack(tmp_path, "columns by name").made.directory / "MLmodel").read_text())
    assert set(told["flavors"]) == {"sklearn", "onnx", "python_function"}
    assert '"name": "stage"' in told["signature"]["inputs"]
