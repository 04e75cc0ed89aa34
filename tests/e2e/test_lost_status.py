"""Every status is lost while the operator is down, as after a restore from a backup: the truth is found again."""

from __future__ import annotations

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.e2e import manifests
from tests.e2e.control_plane import IN_TURN, ControlPlane
from tests.e2e.space import Space

KINDS = ("Dataset", "DatasetVersion", "TrainingRun", "Model", "ModelVersion", "InferenceService")
WORKING = ("Job", "Pod", "Deployment")


@IN_TURN
def test_the_truth_is_found_again_without_status(space: Space, control_plane: ControlPlane) -> None:
    space.apply(*manifests.loop())
    space.current("InferenceService", "flowers", "Serving")
    space.current("TrainingRun", "first", "Succeeded")
    before = facts(space)
    working = {objects.uid(obj) for kind in WORKING for obj in space.every(kind)}
    with control_plane.down():
        for kind in KINDS:
            for obj in space.every(kind):
                space.api.replace_status({**obj, "apiVersion": "mainspring.dev/v1alpha1", "status": {}})
        assert not any(objects.status(obj).get("conditions") for kind in KINDS for obj in space.every(kind))
    for kind, name in (("InferenceService", "flowers"), ("TrainingRun", "first"), ("Dataset", "flowers")):
        space.current(kind, name)
    assert facts(space) == before
    assert {objects.uid(obj) for kind in WORKING for obj in space.every(kind)} == working

    # The next one gets the next number.
    space.apply(manifests.run("second", seed=2, evaluation={"metrics": ["accuracy"]}))
    assert space.current("TrainingRun", "second", "Succeeded")["status"]["modelVersion"] == "flowers-v2"


def facts(space: Space) -> dict[str, object]:
    """What must not depend on status."""
    pods = space.every("Pod", inference_service="flowers")
    model, run = space.get("Model", "flowers"), space.get("TrainingRun", "first")
    return {
        "champion": model["status"]["champion"],
        "last number": model["status"]["lastNumber"],
        "current data": space.get("Dataset", "flowers")["status"]["current"],
        "run": (run["status"]["phase"], run["status"]["modelVersion"]),
        "served": space.get("InferenceService", "flowers")["status"]["stableVersion"],
        "pods": sorted((objects.uid(pod), restarts(pod)) for pod in pods),
    }


def restarts(pod: Object) -> int:
    return sum(int(s["restartCount"]) for s in objects.status(pod)["containerStatuses"])
