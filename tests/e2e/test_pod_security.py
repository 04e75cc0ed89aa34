"""Pod Security `restricted` is enforced: everything of ours runs, and what a user adds that it forbids is named."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import artifacts, manifests
from tests.e2e.space import Space

HOST_PATH = {
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "volumeMounts": [{"name": "host", "mountPath": "/host"}],
}


def test_what_restricted_forbids_is_told_and_heals(space: Space, flower_model: Path) -> None:
    space.apply(manifests.model(), manifests.service(podTemplate=HOST_PATH), manifests.dataset(podTemplate=HOST_PATH))
    artifacts.import_version(space, flower_model)
    says = ["hostPath", "restricted"]
    space.failed("Dataset", "flowers", "PodSecurityViolation", says)
    space.failed("InferenceService", "flowers", "PodSecurityViolation", says)
    space.change("Dataset", "flowers", podTemplate=None)
    space.change("InferenceService", "flowers", podTemplate=None)
    space.current("InferenceService", "flowers", "Serving", heals=True)
    space.current("Dataset", "flowers", "Current", heals=True)
