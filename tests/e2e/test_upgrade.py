"""The chart is upgraded to a release with other images: nothing that serves and nothing that trains is restarted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.plan.common import objects
from tests.demo import release
from tests.e2e import artifacts, manifests
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import Space

# Long enough to be upgraded in the middle of it, also by a busy machine.
TRAINS_FOR_A_WHILE = textwrap.dedent(
    """
    import json, os, pathlib, pandas, skops.io, time
    from sklearn.linear_model import LogisticRegression
    source = pathlib.Path(os.environ["MAINSPRING_INPUT"])
    facts = json.loads((source / "run.json").read_text())
    rows = pandas.read_parquet(source / facts["dataset"]["train"])
    model = LogisticRegression(max_iter=500).fit(rows[facts["features"]], rows[facts["target"]])
    time.sleep(40)
    skops.io.dump(model, pathlib.Path(os.environ["MAINSPRING_OUTPUT"]) / "model.skops")
    """
)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """The values of the release as it is; it is brought back to them."""
    path = tmp_path / "values.json"
    path.write_text(release.helm("get", "values", release.RELEASE, "-n", release.NAMESPACE, "--output", "json"))
    yield path
    upgrade("--reset-values", "--values", str(path))


@pytest.mark.alone
def test_an_upgrade_restarts_nothing(
    space: Space, flower_model: Path, control_plane: ControlPlane, installed: Path
) -> None:
    artifacts.serve_imported(space, flower_model)
    container = {"image": jobs_image(control_plane), "command": ["python", "-c", TRAINS_FOR_A_WHILE]}
    space.apply(manifests.dataset(), manifests.run(container=container))
    space.current("Dataset", "flowers", "Current")
    space.until_running(training_run="first")
    before, operator = working(space), objects.uid(control_plane.pod())

    upgrade("--reuse-values", "--set", "image.runtime.tag=next,image.jobs.tag=next")
    assert objects.uid(control_plane.pod()) != operator
    assert jobs_image(control_plane).endswith(":next")
    # Asked again of the new operator: the conditions tell nothing that it did not look at itself.
    space.annotate("InferenceService", "flowers", touched="by the test")
    space.in_progress("TrainingRun", "first", "Training", ["first-train-1 is running"])
    space.current("InferenceService", "flowers", "Serving")
    assert working(space) == before
    upgrade("--reset-values", "--values", str(installed))
    run = space.current("TrainingRun", "first", "Succeeded")
    assert [a["outcome"] for a in run["status"]["attempts"]] == ["Succeeded"]
    assert working(space, "Deployment", inference_service="flowers") == {
        key: value for key, value in before.items() if value == "Deployment"
    }


def working(space: Space, *kinds: str, **labels: str) -> dict[str, str]:
    """The identities of all that runs, with the kind of each."""
    every = kinds or ("Deployment", "Job", "Pod")
    return {objects.uid(obj): kind for kind in every for obj in space.every(kind, **labels)}


def jobs_image(control_plane: ControlPlane) -> str:
    return control_plane.variable("MAINSPRING_JOBS_IMAGE")


def upgrade(*words: str) -> None:
    release.helm(
        "upgrade", release.RELEASE, str(release.CHART), "-n", release.NAMESPACE, "--wait",
        "--timeout", f"{release.INSTALL_SECONDS:.0f}s", *words,
    )  # fmt: skip
