"""A version that cannot be served never takes the place of one that works; going back is instant."""

from __future__ import annotations

from pathlib import Path

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.e2e import artifacts
from tests.e2e.space import STEP_SECONDS, Space


def test_what_cannot_be_loaded_leaves_the_old_one_serving(space: Space, flower_model: Path, tmp_path: Path) -> None:
    artifacts.serve_imported(space, flower_model)
    stable = space.get("InferenceService", "flowers")["status"]["stableRevision"]

    # Bytes that are what their digest says, and are no model.
    (tmp_path / "model.skops").write_bytes(b"not a model")
    artifacts.import_version(space, tmp_path, number=2)
    space.failed("ModelVersion", "flowers-v2", "InvalidModel", ["model.json"])
    space.change("InferenceService", "flowers", model={"name": None, "version": "flowers-v2"})
    space.failed("InferenceService", "flowers", "InvalidModel", ["flowers-v2", "flowers-v1 keeps serving"])
    assert_serves(space, "1", stable)

    # A good model that its pods cannot run: an image that cannot be pulled, then too little memory.
    broken = {"image": "localhost/mainspring/no-such-image:1"}
    space.change("InferenceService", "flowers", model={"version": "flowers-v1"}, runtime=broken)
    says = ["no-such-image", "cannot be pulled", "flowers-v1 keeps serving"]
    failed = space.failed("InferenceService", "flowers", "ImagePullBackOff", says)
    assert failed["status"]["lastFailure"]["version"] == "flowers-v1"
    assert_serves(space, "1", stable)
    space.change("InferenceService", "flowers", runtime=None, resources={"limits": {"memory": "24Mi"}})
    space.failed("InferenceService", "flowers", "OutOfMemory", ["spec.resources.limits.memory", "keeps serving"])
    assert_serves(space, "1", stable)

    space.change("InferenceService", "flowers", resources=None)
    healed = space.current("InferenceService", "flowers", "Serving", heals=True)
    assert "lastFailure" not in healed["status"]
    assert_serves(space, "1", stable)


def test_rolling_back_is_one_line_and_starts_nothing_new(space: Space, flower_model: Path) -> None:
    artifacts.serve_imported(space, flower_model)
    artifacts.import_version(space, flower_model, number=2)
    space.eventually(lambda: _served(space) == "flowers-v2", "version 2 is served", 2 * STEP_SECONDS)
    deployments = {objects.name(d) for d in space.every("Deployment")}

    space.change("Model", "flowers", aliases={"champion": "flowers-v1"})
    space.eventually(lambda: _served(space) == "flowers-v1", "version 1 is served again")
    service = space.current("InferenceService", "flowers", "Serving")
    assert [r["outcome"] for r in service["status"]["rollouts"]] == ["Promoted"] * 3
    assert service["status"]["rollouts"][-1]["reason"] == "ServedBefore"
    assert {objects.name(d) for d in space.every("Deployment")} == deployments

    # The pin says that the newer one was bad: without the pin it stays so.
    space.change("Model", "flowers", aliases=None)
    model = space.current("Model", "flowers", "Champion")
    assert model["status"]["champion"] == "flowers-v1"
    rejected = space.current("ModelVersion", "flowers-v2", "Rejected", says=["RolledBackByPin"])
    assert rejected["status"]["stage"] == "Rejected"


def assert_serves(space: Space, version: str, revision: str) -> None:
    """It answers with this version, by the same pods as before."""
    service = space.get("InferenceService", "flowers")
    assert service["status"]["stableRevision"] == revision
    assert objects.condition_is(service, "Available")
    assert space.answering() == version
    assert restarts(space.every("Pod", revision=revision)) == 0


def restarts(pods: list[Object]) -> int:
    return sum(int(s["restartCount"]) for pod in pods for s in objects.status(pod).get("containerStatuses") or ())


def _served(space: Space) -> str:
    return str(space.get("InferenceService", "flowers")["status"].get("stableVersion"))
