"""What the cluster refuses is told with what to do, and goes on by itself once that was done.

All refusals happen at the same time: the operator asks again after a minute, and that minute passes once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest
from tests.e2e import artifacts, manifests
from tests.e2e.conftest import SpaceMaker
from tests.e2e.space import STEP_SECONDS, Space

HEAL_SECONDS = 3 * STEP_SECONDS
STRANGER: Manifest = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "flowers", "labels": {"app": "flower-shop"}},
    "spec": {"selector": {"app": "flower-shop"}, "ports": [{"name": "http", "port": 80}]},
}
HOST_PATH = {
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "volumeMounts": [{"name": "host", "mountPath": "/host"}],
}
Heal = Callable[[], None]


def test_refusals_are_told_and_heal(make_space: SpaceMaker, flower_model: Path) -> None:
    refusals = (jobs_beyond_quota, pods_beyond_quota, a_strangers_name, pods_that_restricted_forbids)
    spaces = [make_space(refuse.__name__.replace("_", "-")) for refuse in refusals]
    for space in spaces[1:]:
        space.apply(manifests.model())
        artifacts.import_version(space, flower_model)
    heals = [refuse(space) for refuse, space in zip(refusals, spaces, strict=True)]
    for heal in heals:
        heal()
    # Kubernetes doubles its pauses: the longer all that has taken, the longer it takes to be asked for a pod again.
    spaces[0].current("Dataset", "flowers", "Current", heals=True, seconds=HEAL_SECONDS)
    for space in spaces[1:]:
        space.current("InferenceService", "flowers", "Serving", heals=True, seconds=HEAL_SECONDS)
        assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES
    for space in (spaces[1], spaces[3]):
        space.current("Dataset", "flowers", "Current", heals=True, seconds=HEAL_SECONDS)


def jobs_beyond_quota(space: Space) -> Heal:
    """The Job itself is refused, to us."""
    space.apply(quota("count/jobs.batch", "0"))
    space.apply(manifests.dataset())
    space.failed("Dataset", "flowers", "QuotaExceeded", ["exceeded quota: small", "raise the ResourceQuota"])
    return lambda: space.apply(quota("count/jobs.batch", "5"))


def pods_beyond_quota(space: Space) -> Heal:
    """Job and Deployment are made; it is their pods that are refused, to Kubernetes."""
    space.current("Model", "flowers", "Champion")
    space.apply(quota("pods", "0"))
    space.apply(manifests.dataset(), manifests.service())
    for kind in ("Dataset", "InferenceService"):
        space.failed(kind, "flowers", "QuotaExceeded", ["exceeded quota: small", "raise the ResourceQuota"])
    return lambda: space.apply(quota("pods", "5"))


def a_strangers_name(space: Space) -> Heal:
    """A Service of the wanted name belongs to somebody else, who keeps it."""
    space.apply(STRANGER)
    before = space.get("Service", "flowers")
    space.apply(manifests.service())
    space.failed("InferenceService", "flowers", "NameTaken", ["Service flowers", "rename or remove it"])

    def heal() -> None:
        after = space.get("Service", "flowers")
        assert objects.resource_version(after) == objects.resource_version(before)
        space.delete("Service", "flowers")

    return heal


def pods_that_restricted_forbids(space: Space) -> Heal:
    """Everything of ours passes Pod Security `restricted`; what a user adds need not."""
    space.apply(manifests.service(podTemplate=HOST_PATH), manifests.dataset(podTemplate=HOST_PATH))
    for kind in ("Dataset", "InferenceService"):
        says = ["hostPath", "restricted", "spec.podTemplate"]
        space.failed(kind, "flowers", "PodSecurityViolation", says)

    def heal() -> None:
        space.change("Dataset", "flowers", podTemplate=None)
        space.change("InferenceService", "flowers", podTemplate=None)

    return heal


def quota(what: str, hard: str) -> Manifest:
    metadata = {"name": "small"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {what: hard}}}
