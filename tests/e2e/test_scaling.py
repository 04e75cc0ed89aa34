"""As many pods as the load needs, by what Kubernetes measures and by what the servers count; no request fails for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring_runtime.model import document
from tests import cluster
from tests.e2e import artifacts, manifests
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import STEP_SECONDS, Space
from tests.e2e.traffic import Traffic

MOST = 3
# While it is looked at: on a busy machine a client asks less now and then, and there would be a pod less at once.
LATER = "10m"


@pytest.fixture(scope="session")
def metrics_server() -> None:
    cluster.add("metrics-server")


@pytest.mark.usefixtures("metrics_server")
def test_a_busy_service_gets_pods_by_cpu_and_a_new_version_begins_with_as_many(
    space: Space, flower_model: Path, control_plane: ControlPlane
) -> None:
    scaling = {
        "minReplicas": 1,
        "maxReplicas": MOST,
        "metric": "CPU",
        "target": 60,
        "behaviour": {"scaleDownDelay": LATER},
    }
    requested = {"requests": {"cpu": "50m", "memory": "200Mi"}}
    artifacts.serve_imported(space, flower_model, autoscaling=scaling, resources=requested)
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"), pause=0.005)
    _until_ready(space, 2)
    traffic.until_answered("1")
    _until_autoscaling(space)
    busy = _service(space)
    assert objects.condition_is(busy, "Ready"), "nobody changed anything"
    autoscaler = space.get("HorizontalPodAutoscaler", "flowers")
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == f"flowers-{busy['status']['stableRevision']}"

    # A new champion takes over with at least as many pods as the load needs, and the autoscaler turns to them.
    artifacts.import_version(space, flower_model, number=2)
    traffic.until_answered("2")
    space.current("InferenceService", "flowers")
    taken = _service(space)
    revision = taken["status"]["stableRevision"]
    assert taken["status"]["readyReplicas"] >= 2
    autoscaler = space.get("HorizontalPodAutoscaler", "flowers")
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == f"flowers-{revision}"
    assert autoscaler["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Max"

    counts = traffic.end()
    assert counts.failed == 0, counts.errors
    space.change("InferenceService", "flowers", autoscaling={"behaviour": {"scaleDownDelay": "15s"}})
    _until_ready(space, 1)


@pytest.fixture
def slow_model(flower_model: Path, tmp_path: Path) -> Path:
    """Answers by scikit-learn, whose predictions run in a thread: who asks meanwhile is in the server, and waits."""
    copied = tmp_path / "slow"
    shutil.copytree(flower_model, copied)
    file = copied / document.FILE
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "onnx": {"admitted": False, "reason": "it shall be slow"}}))
    return copied


def test_concurrency_brings_pods_and_takes_them_away_without_any_further_part(
    space: Space, slow_model: Path, control_plane: ControlPlane
) -> None:
    scaling = {"maxReplicas": MOST, "metric": "Concurrency", "target": 1, "behaviour": {"scaleDownDelay": LATER}}
    # A quarter of a core and some hundred rows a request: four callers are more than one pod can do.
    few = {"requests": {"cpu": "50m", "memory": "200Mi"}, "limits": {"cpu": "250m"}}
    artifacts.serve_imported(space, slow_model, autoscaling=scaling, resources=few)
    _until_autoscaling(space)
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"), pause=0.0, times=100)
    _until_ready(space, 2)
    scaled = _service(space)["status"]["scaling"]
    assert scaled["desired"] >= 2
    assert scaled["measured"] > 0
    traffic.until_answered("1")
    counts = traffic.end()
    assert counts.failed == 0, counts.errors
    space.change("InferenceService", "flowers", autoscaling={"behaviour": {"scaleDownDelay": "10s"}})
    _until_ready(space, 1)

    # Back to a fixed number: nothing of the autoscaler stays.
    space.change("InferenceService", "flowers", autoscaling=None, replicas=2)
    space.current("InferenceService", "flowers", "Serving", says=["2 pods"])
    assert "scaling" not in _service(space)["status"]
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES


def test_a_canary_that_is_scaled_in_its_middle_is_taken_and_no_request_fails(
    space: Space, flower_model: Path, control_plane: ControlPlane
) -> None:
    scaling = {"maxReplicas": MOST, "metric": "RequestsPerSecond", "target": 40}
    canary = {"strategy": "Canary", "steps": [50], "stepDuration": "10s"}
    artifacts.serve_imported(space, flower_model, autoscaling=scaling, rollout=canary)
    artifacts.import_version(space, flower_model, number=2)
    space.eventually(
        lambda: space.rollout().get("phase") in ("Mirroring", "Stepping"), "the new version", 2 * STEP_SECONDS
    )
    assert _service(space)["status"]["replicas"] == 1

    # Only now there is something to do, and to judge by.
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"))
    _until_ready(space, 2)
    space.until(lambda: _not_taken(space, "flowers-v2"), 2 * STEP_SECONDS)
    assert _service(space)["status"]["readyReplicas"] >= 2
    traffic.until_answered("2")
    counts = traffic.end()
    assert counts.failed == 0, counts.errors
    assert counts.versions["1"] > 0


def _not_taken(space: Space, version: str) -> str | None:
    status = _service(space)["status"]
    assert "heldBack" not in status, status["heldBack"]
    return None if status["stableVersion"] == version else f"{version} to be taken: {status.get('rollout')}"


def _service(space: Space) -> Object:
    return space.get("InferenceService", "flowers")


def _until_autoscaling(space: Space) -> None:
    """There are figures to scale by; those of a pod that has just come are missing at first."""
    space.eventually(lambda: objects.condition_is(_service(space), "AutoscalingActive"), "figures to scale by")


def _until_ready(space: Space, pods: int) -> None:
    """At least so many answer; for one pod, no more than it."""

    def check() -> str | None:
        status = _service(space)["status"]
        ready = status.get("readyReplicas", 0)
        done = ready == 1 and status["replicas"] == 1 if pods == 1 else ready >= pods
        return None if done else f"{pods} pods; there are {ready}: {status.get('scaling')}"

    space.until(check, 2 * STEP_SECONDS)
