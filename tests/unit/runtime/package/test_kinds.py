"""Every kind of estimator answers, packaged and loaded, what it answers by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import DBSCAN, Birch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import LocalOutlierFactor

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import predictor
from tests.unit.runtime.package import packing
from tests.unit.runtime.package.kinds import BY_NAME, KINDS, Kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_packaged_model_answers_what_its_estimator_answers(tmp_path: Path, kind: Kind) -> None:
    rows = kind.rows()
    packed = packing.pack(tmp_path, kind.fitted(), rows)
    signature = packed.predictor.signature
    assert {item.name: (item.datatype, item.shape) for item in signature.outputs} == kind.outputs
    assert (signature.task, packed.predictor.path) == (kind.task, kind.path)
    assert signature.default_outputs == (next(iter(kind.outputs)),)
    assert packed.differences(rows, kind.form(rows)) == {}
    assert packed.differences(rows[:1], kind.form(rows[:1])) == {}


@pytest.mark.parametrize("name", ["forest", "lightgbm", "xgboost values", "columns by name"])
def test_both_paths_of_a_packaged_model_agree(tmp_path: Path, name: str) -> None:
    kind = BY_NAME[name]
    packed = packing.pack(tmp_path, kind.fitted(), kind.rows())
    slow = predictor.load(packed.made.directory, path="sklearn")
    assert (packed.predictor.path, slow.path) == ("onnx", "sklearn")
    columns = packing.columns_of(slow, kind.rows())
    fast = packed.predictor.predict(columns, ["predict"])["predict"]
    expected = slow.predict(columns, ["predict"])["predict"]
    assert np.allclose(fast, expected, rtol=1e-4) if fast.dtype.kind == "f" else (fast == expected).all()


def test_the_last_dimension_has_names(tmp_path: Path) -> None:
    def names(kind: str, **options: object) -> dict[str, object]:
        root = tmp_path / kind
        root.mkdir()
        packed = packing.pack(root, BY_NAME[kind].fitted(), BY_NAME[kind].rows(), **options)
        return {item.name: item.columns or item.classes for item in packed.predictor.signature.outputs}

    assert names("components")["transform"] == ("pca0", "pca1")
    assert names("sparse one-hot")["transform"] == (
        "stage_I", "stage_II", "stage_III", "visits_0", "visits_1", "visits_2", "visits_3", "visits_4", "visits_5",
    )  # fmt: skip
    assert names("several values", targets=("sales", "returns")) == {"predict": ("sales", "returns")}
    by_target = names("one classifier a target")
    assert (by_target["predict_proba_0"], by_target["predict_proba_1"]) == (("no", "yes"), ("high", "low", "middle"))


def test_only_the_outputs_that_were_asked_for(tmp_path: Path) -> None:
    kind = BY_NAME["logistic"]
    packed = packing.pack(tmp_path, kind.fitted(), kind.rows(), outputs=("predict", "predict_proba"))
    assert packed.predictor.signature.output_names == ("predict", "predict_proba")
    assert packed.made.notes == ("answers by ONNX Runtime",)
    assert packed.predictor.only_computes
    (tmp_path / "whole").mkdir()
    whole = packing.pack(tmp_path / "whole", kind.fitted(), kind.rows()).predictor
    assert (whole.path, whole.only_computes) == ("onnx", False), "scikit-learn answers what the graph has not"
    with pytest.raises(PermanentError, match=r"no output 'predct'; it has predict, predict_proba"):
        packing.pack(tmp_path / "work", kind.fitted(), kind.rows(), outputs=("predct",))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (DBSCAN(), "DBSCAN labels only the rows that it was fitted on"),
        (LocalOutlierFactor(), r"LocalOutlierFactor answers new rows only when it was fitted with novelty=True"),
        (BaseEstimator(), "BaseEstimator has none of predict, predict_proba"),
        (LogisticRegression(), "LogisticRegression cannot predict the example rows: NotFittedError"),
    ],
    ids=["clusters of its own rows", "outliers of its own rows", "no estimator", "not fitted"],
)
def test_what_cannot_answer_is_refused_with_the_reason(tmp_path: Path, estimator: object, message: str) -> None:
    if isinstance(estimator, DBSCAN | LocalOutlierFactor):
        estimator.fit(packing.numbers())
    with pytest.raises(PermanentError, match=message):
        packing.pack(tmp_path, estimator, packing.numbers())


def test_what_skops_cannot_store_stays_a_pickle(tmp_path: Path) -> None:
    packed = packing.pack(tmp_path, Birch(n_clusters=3).fit(packing.numbers()), packing.numbers(), keep_pickle=True)
    assert packed.made.document.format == "joblib"
    assert packed.predictor.platform == "sklearn_joblib"
    assert packed.differences(packing.numbers(), packing.numbers()) == {}
    with pytest.raises(PermanentError, match=r"spec\.allowPickle"):
        predictor.load(packed.made.directory)


def test_a_model_that_refuses_unseen_categories_is_said_to(tmp_path: Path) -> None:
    """A graph would answer them, so there is none."""
    packed = packing.pack(tmp_path, BY_NAME["strict categories"].fitted(), packing.mixed())
    assert packed.predictor.path == "sklearn"
    assert any(note.startswith("it refuses some values that the example has not") for note in packed.made.notes)
    with pytest.raises(ValueError, match="unknown categories"):
        packed.predictor.predict(packing.columns_of(packed.predictor, packing.mixed().assign(stage="IV")))
