"""The operator dies at every stage of the loop; nothing is lost and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.plan.common import objects
from tests.e2e import manifests
from tests.e2e.conftest import SpaceMaker
from tests.e2e.control_plane import IN_TURN, ControlPlane
from tests.e2e.space import Space


@IN_TURN
def test_killed_at_every_stage_the_loop_ends_the_same(
    space: Space, make_space: SpaceMaker, control_plane: ControlPlane
) -> None:
    killer = make_space("killer", "privileged")
    control_plane.start_killer(killer)
    stages: list[Callable[[], object]] = [
        # Jobs, not pods that run: while the operator comes back, a short one may be done already.
        lambda: space.until_found("Job", dataset="flowers"),
        lambda: space.until_found("Job", training_run="first"),
        lambda: space.until_found("Job", model_version="flowers-v1"),
        lambda: space.until_found("Deployment", inference_service="flowers"),
    ]
    space.apply(*manifests.loop())
    for reached in stages:
        reached()
        control_plane.kill(killer)
        # The kubelet waits longer before each restart of the same pod: a new one starts at once.
        control_plane.replace()
    space.current("InferenceService", "flowers", "Serving")
    assert_done_once(space)


def assert_done_once(space: Space) -> None:
    run, model = space.current("TrainingRun", "first", "Succeeded"), space.current("Model", "flowers", "Champion")
    assert [a["outcome"] for a in run["status"]["attempts"]] == ["Succeeded"]
    assert [entry["version"] for entry in model["status"]["history"]] == ["flowers-v1"]
    assert model["status"]["promotions"] == 1
    assert len(space.every("DatasetVersion")) == len(space.every("ModelVersion")) == 1
    jobs = [objects.name(job) for job in space.every("Job")]
    assert len(jobs) == 3, jobs
    assert len(space.every("Deployment")) == 1
    service = space.get("InferenceService", "flowers")
    assert [r["outcome"] for r in service["status"]["rollouts"]] == ["Promoted"]
    answer = space.predict("flowers", manifests.FLOWERS)
    assert answer["outputs"][0]["data"] == manifests.SPECIES
