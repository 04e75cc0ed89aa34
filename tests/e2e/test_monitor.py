"""What a ModelMonitor needs in order to watch: it says what is missing, and goes on by itself when it is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e import artifacts, manifests
from tests.e2e.space import Space


def test_what_stands_in_the_way_of_watching_is_named_and_heals(
    space: Space, flower_model: Path, tmp_path: Path
) -> None:
    space.apply(manifests.monitor())
    space.in_progress("ModelMonitor", "flowers", "ServiceNotFound", ["InferenceService flowers", "spec.service"])

    bare = Path(shutil.copytree(flower_model, tmp_path / "bare", ignore=shutil.ignore_patterns("profile.json")))
    artifacts.serve_imported(space, bare)
    space.failed("ModelMonitor", "flowers", "NoReference", ["flowers-v1", "profile.json", "train it anew"])

    artifacts.import_version(space, flower_model, number=2)
    found = space.current("ModelMonitor", "flowers", "Watching", heals=True)
    assert found["status"]["version"] == "flowers-v2"
    assert found["status"]["pods"] == 1
