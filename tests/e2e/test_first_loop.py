"""The examples as a user applies them: data, training, registry, service, and predictions equal to scikit-learn's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mainspring.plan.common.objects import Manifest
from mainspring_runtime.data import samples
from tests import kstatus
from tests.demo import chapters, release
from tests.e2e.space import STEP_SECONDS, Space

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def read(folder: str) -> list[Manifest]:
    """Everything but the Namespace: a journey has its own."""
    texts = [path.read_text() for path in sorted((EXAMPLES / folder).glob("*.yaml"))]
    found = [obj for text in texts for obj in yaml.safe_load_all(text)]
    return [obj for obj in found if obj["kind"] != "Namespace"]


@pytest.mark.parametrize(
    ("folder", "name", "sample", "target"),
    [
        ("01-first-loop", "tumours", "breast_cancer", "diagnosis"),
        ("02-regression", "diabetes", "diabetes", "progression"),
    ],
)
def test_an_example_serves_what_scikit_learn_predicts(
    space: Space, folder: str, name: str, sample: str, target: str
) -> None:
    objects = read(folder)
    space.apply(*objects)
    # As a script would wait: `kubectl wait` knows nothing about our kinds.
    version = f"modelversion/{name}-v1"
    wait("--for=create", version, space=space)
    targets = [f"{obj['kind'].lower()}/{obj['metadata']['name']}" for obj in objects]
    wait("--for=condition=Ready", version, *targets, space=space)
    space.current("InferenceService", name, "Serving")
    for kind in ("Dataset", "DatasetVersion", "TrainingRun", "Model", "ModelVersion", "InferenceService"):
        assert {kstatus.verdict(obj) for obj in space.every(kind)} == {kstatus.CURRENT}, kind
    chapters.predictions(space.name, name, f"{name}-v1", samples.table(sample), target)


def wait(*words: str, space: Space) -> None:
    release.kubectl("wait", *words, "-n", space.name, f"--timeout={STEP_SECONDS:.0f}s", timeout=STEP_SECONDS + 10.0)
