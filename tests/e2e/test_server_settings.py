"""What spec.server sets holds in the pods; a load that takes too long says so, and the old pods go on answering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.plan.common import objects
from tests.e2e import artifacts, manifests
from tests.e2e.space import STEP_SECONDS, Space


def test_limits_hold_and_a_load_that_takes_too_long_leaves_the_old_one_serving(
    space: Space, flower_model: Path
) -> None:
    artifacts.serve_imported(space, flower_model)
    assert objects.condition_is(space.get("ModelVersion", "flowers-v1"), "FastPath")

    first = space.get("InferenceService", "flowers")["status"]["stableRevision"]
    space.change("InferenceService", "flowers", server={"maxBodySize": "1Ki", "requestTimeout": "20s"})
    space.eventually(lambda: _revision(space) != first, "the new limits to be served", STEP_SECONDS)
    space.current("InferenceService", "flowers", "Serving")
    stable = _revision(space)
    (pod,) = space.every("Pod", revision=stable)
    assert objects.spec(pod)["terminationGracePeriodSeconds"] == 60
    many = [{"name": n, "datatype": "FP64", "shape": [300], "data": v * 100} for n, v in manifests.FLOWERS.items()]

    def said() -> tuple[int, dict[str, Any]]:
        answer = space.api.through_service(space.name, "flowers", "/v2/models/flowers/infer", {"inputs": many})
        return answer.status_code, answer.json()

    # The cluster learns a moment after the operator where a Service leads.
    refusal = 413, {"error": "the body is larger than 1024 bytes; send several requests"}
    space.eventually(lambda: said() == refusal, f"{refusal} of the new pod")
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES

    # A store that does not answer is asked again for longer than that.
    nobody = {"env": [{"name": "AWS_ENDPOINT_URL", "value": "http://127.0.0.1:9"}]}
    space.change("InferenceService", "flowers", server={"loadTimeout": "1s"}, podTemplate=nobody)
    says = ["not ready after 1 s", "fetching the files", "spec.server.loadTimeout", "flowers-v1 keeps serving"]
    failed = space.failed("InferenceService", "flowers", "LoadTimedOut", says)
    assert failed["status"]["lastFailure"]["exitCode"] == 1
    assert _revision(space) == stable
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES

    space.change("InferenceService", "flowers", server={"loadTimeout": None}, podTemplate=None)
    healed = space.current("InferenceService", "flowers", "Serving", heals=True)
    assert "lastFailure" not in healed["status"]


def _revision(space: Space) -> str:
    return str(space.get("InferenceService", "flowers")["status"]["stableRevision"])
