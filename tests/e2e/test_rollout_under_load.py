"""The champion changes, pods come and go, a version is rolled back: nobody who asks meanwhile sees a failure."""

from __future__ import annotations

from pathlib import Path

from mainspring.plan.common import objects
from tests.e2e import artifacts, manifests
from tests.e2e.control_plane import IN_TURN, ControlPlane
from tests.e2e.space import Space
from tests.e2e.traffic import Traffic


@IN_TURN
def test_no_request_fails_while_everything_changes(
    space: Space, flower_model: Path, control_plane: ControlPlane
) -> None:
    artifacts.serve_imported(space, flower_model)
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"))
    traffic.until_answered("1")

    # A new champion is rolled out; Ready stays True, since nobody asked for a change.
    artifacts.import_version(space, flower_model, number=2)
    traffic.until_answered("2")
    space.current("InferenceService", "flowers", "Serving")

    # Twice the size, a drained pod, and back.
    space.change("InferenceService", "flowers", replicas=2)
    space.current("InferenceService", "flowers", "Serving", says=["2 pods"])
    revision = space.get("InferenceService", "flowers")["status"]["stableRevision"]
    first = space.every("Pod", revision=revision)[0]
    space.api.evict(first)
    space.eventually(lambda: not space.api.get(objects.ref(first)), "the evicted pod is gone")
    space.current("InferenceService", "flowers", "Serving")
    space.change("InferenceService", "flowers", replicas=1)
    space.current("InferenceService", "flowers", "Serving", says=["1 pod"])

    # Back to the version before, with a settings change on top; the operator is replaced in the middle of it.
    space.change("Model", "flowers", aliases={"champion": "flowers-v1"})
    control_plane.replace()
    traffic.until_answered("1")
    before = space.current("InferenceService", "flowers", "Serving")["status"]["stableRevision"]
    settings = {"env": [{"name": "COLOUR", "value": "blue"}]}
    space.change("InferenceService", "flowers", podTemplate=settings)
    after = space.current("InferenceService", "flowers", "Serving")["status"]["stableRevision"]
    assert after != before, "a service that is being rolled out is not current"
    traffic.until_answered("1")
    assert traffic.end().failed == 0


def test_a_stopped_service_keeps_everything_but_its_pods(space: Space, flower_model: Path) -> None:
    artifacts.serve_imported(space, flower_model)
    revision = space.get("InferenceService", "flowers")["status"]["stableRevision"]
    space.change("InferenceService", "flowers", stop=True)
    stopped = space.current("InferenceService", "flowers", "Stopped", says=["spec.stop"])
    assert objects.condition_is(stopped, "Available", "False")
    space.until_gone("Pod", inference_service="flowers")
    assert space.exists("Service", "flowers")
    space.change("InferenceService", "flowers", stop=False)
    started = space.current("InferenceService", "flowers", "Serving")
    assert started["status"]["stableRevision"] == revision
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES
