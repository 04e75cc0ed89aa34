from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mainspring_runtime.serve.monitoring import profile as profiles
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import CLASSIFIED


def changed(document: Any, path: str, value: Any) -> Any:
    """With one value replaced; numbers in the path are positions."""
    target = document
    *parents, last = (int(step) if step.isdecimal() else step for step in path.split("/"))
    for step in parents:
        target = target[step]
    target[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("format", 2, "it has format 2; this server reads format 1"),
        ("features/0/name", "weight", "it has a Float 'weight', the signature has no such input"),
        ("features/0/kind", "Category", "it has a Category 'radius', the signature has Float"),
        ("features/0/edges", None, "edges of 'radius' do not go with its kind, Float"),
        ("features/5/categories", None, "categories of 'stage' do not go with its kind, Category"),
        ("features/0/edges/1", 1e9, "the edges of 'radius' do not rise"),
        ("features/0/counts/newest", [1], "'radius' has 1 counts for 10 bins"),
        ("features/0/missing", "many", "Expected `object`, got `str`"),
        ("prediction/output", "predict_log_proba", "the watched output 'predict_log_proba' is none of the signature"),
        ("prediction/class", "X", "the watched class 'X' is none of the signature"),
        ("prediction/edges", None, "the watched output needs either edges or classes"),
        ("prediction/counts/train", [1, 2], "the counts of 'predict_proba' are not as many as its bins"),
        ("rows", {}, "'train'"),
    ],
)
def test_a_profile_that_cannot_be_used_is_explained(tmp_path: Path, path: str, value: Any, reason: str) -> None:
    found = watching.read_profile(tmp_path, changed(watching.trained_profile(), path, value))
    assert found.reason is not None
    assert found.reason.startswith("profile.json cannot be read: ")
    assert reason in found.reason
    assert (found.features, found.prediction) == ((), None)


def test_a_version_without_a_profile_says_so(tmp_path: Path) -> None:
    assert profiles.read(tmp_path, CLASSIFIED).reason == "the version has no profile.json"
    (tmp_path / "profile.json").write_bytes(b"\xff{")
    assert "cannot be read" in str(profiles.read(tmp_path, CLASSIFIED).reason)


async def test_without_a_profile_rows_are_counted_and_the_reason_is_told_everywhere(tmp_path: Path) -> None:
    async with watching.serving(profiles.read(tmp_path, CLASSIFIED)) as served:
        await served.infer(watching.rows(1.0, 2.0))
        assert served.predictor.asked == [("predict",)], "nothing is computed that nobody wants"
        snapshot, reference = await served.snapshot(), await served.reference()
        metrics = await served.metrics()
    assert (snapshot.rows, snapshot.columns, snapshot.prediction, snapshot.predicted) == (2, [], None, None)
    assert snapshot.reason == reference.reason == "the version has no profile.json"
    assert 'reason="the version has no profile.json"' in metrics
    assert 'mainspring_rows_total{model="tumours",version="3"} 2.0' in metrics


def test_a_profile_of_a_later_release_may_say_more(tmp_path: Path) -> None:
    document = watching.trained_profile() | {"something": "new"}
    assert watching.read_profile(tmp_path, document).reason is None
    assert json.loads((tmp_path / "profile.json").read_text())["something"] == "new"
