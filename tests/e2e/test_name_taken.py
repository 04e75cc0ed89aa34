"""A Service of the wanted name is already there and belongs to somebody else: it is left alone, and told."""

from __future__ import annotations

from pathlib import Path

from mainspring.plan.common.objects import Manifest
from tests.e2e import artifacts, manifests
from tests.e2e.space import Space

STRANGER: Manifest = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "flowers", "labels": {"app": "flower-shop"}},
    "spec": {"selector": {"app": "flower-shop"}, "ports": [{"name": "http", "port": 80}]},
}


def test_a_strangers_service_is_left_alone_and_told(space: Space, flower_model: Path) -> None:
    space.apply(STRANGER, manifests.model(), manifests.service())
    before = space.get("Service", "flowers")
    artifacts.import_version(space, flower_model)
    space.failed("InferenceService", "flowers", "NameTaken", ["Service flowers", "rename or remove it"])
    assert space.get("Service", "flowers") == before
    space.delete("Service", "flowers")
    # The refusal is tried again every minute.
    space.current("InferenceService", "flowers", "Serving", heals=True)
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES
