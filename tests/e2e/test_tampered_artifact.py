"""A byte of a model was changed in the store after it was registered: those bytes are never loaded."""

from __future__ import annotations

from pathlib import Path

import obstore

from mainspring.plan.common import objects
from tests.demo import store
from tests.e2e import artifacts
from tests.e2e.space import Space


def test_changed_bytes_are_never_served(space: Space, flower_model: Path) -> None:
    artifacts.serve_imported(space, flower_model)
    before = space.every("Pod", inference_service="flowers")
    change_a_byte(space, "flowers-v1", "model.skops")

    # Whoever has it loaded goes on; who starts anew must not.
    space.api.evict(before[0])
    space.failed("InferenceService", "flowers", "ArtifactDigestMismatch", ["flowers-v1", "model.skops", "changed"])
    version = space.failed(
        "ModelVersion",
        "flowers-v1",
        "ArtifactDigestMismatch",
        ["model.skops", "publish the model again as a new version"],
    )
    assert objects.condition_is(version, "ArtifactVerified", "False")
    answer = space.api.through_service(space.name, "flowers", "/v2/health/ready")
    assert answer.status_code == 503, answer.text

    # The way out that the message names.
    artifacts.import_version(space, flower_model, number=2)
    space.current("InferenceService", "flowers", "Serving", heals=True)
    assert space.get("InferenceService", "flowers")["status"]["stableVersion"] == "flowers-v2"


def change_a_byte(space: Space, version: str, file: str) -> None:
    uri = space.get("ModelVersion", version)["spec"]["artifact"]["uri"]
    path = uri.removeprefix(f"s3://ns-{space.name}/") + file
    with store.access(space.name):
        bucket = store.bucket(space.name)
        content = bytearray(obstore.get(bucket, path).bytes())
        content[len(content) // 2] ^= 1
        obstore.put(bucket, path, bytes(content))
