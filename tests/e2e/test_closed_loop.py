"""The closed loop of the example, with nobody typing: the world changes, quality falls, a new model takes over and it recovers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import STEP_SECONDS, Space

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/03-closed-loop"
NAMESPACE, IMAGE = "closed-loop", "mainspring/runtime-jobs"
CHANGE_SECONDS = 150
RECOVER_SECONDS = 900.0


def read(namespace: str, image: str) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted(EXAMPLE.glob("*.yaml"))]
    placed = "\n---\n".join(texts).replace(NAMESPACE, namespace).replace(f"image: {IMAGE}", f"image: {image}")
    sooner = placed.replace('value: "240"', f'value: "{CHANGE_SECONDS}"')
    assert sooner != placed
    return [obj for obj in yaml.safe_load_all(sooner) if obj and obj["kind"] != "Namespace"]


@pytest.mark.timeout(1200)
def test_quality_recovers_with_nobody_typing(space: Space, control_plane: ControlPlane) -> None:
    space.apply(*read(space.name, control_plane.variable("MAINSPRING_JOBS_IMAGE")))
    space.current("InferenceService", "machines", "Serving", seconds=2 * STEP_SECONDS)
    space.current("ModelMonitor", "machines", "Watching")
    # While nothing has changed, nothing is found.
    until(space, "PerformanceDegraded", "False", "WithinBound", STEP_SECONDS)
    assert condition(space, "DriftDetected")["status"] == "False"

    until(space, "DriftDetected", "True", "FeaturesDrifted", CHANGE_SECONDS + STEP_SECONDS)
    assert "temperature" in condition(space, "DriftDetected")["message"]
    until(space, "PerformanceDegraded", "True", "BelowBound", STEP_SECONDS)

    def missing() -> str | None:
        monitor = space.get("ModelMonitor", "machines")
        status = objects.status(monitor)
        version = status.get("version")
        told = objects.condition(monitor, "PerformanceDegraded") or {}
        recovered = version != "machines-v1" and told.get("reason") == "WithinBound" and "need" not in status
        return None if recovered else f"quality to recover; {version}: {told.get('message')}; {retrain(monitor)}"

    space.until(missing, RECOVER_SECONDS)
    until(space, "DriftDetected", "False", "NoDrift", STEP_SECONDS)
    promoted = [
        r for r in objects.status(space.get("ModelMonitor", "machines"))["retrains"] if r["outcome"] == "Promoted"
    ]
    assert [entry["reason"] for entry in promoted] == ["PerformanceDegraded"]
    assert promoted[0]["version"] == objects.status(space.get("Model", "machines"))["champion"]
    # From the first answer on, no request has failed.
    (world,) = space.api.list("Pod", space.name, labelSelector="app=world")
    assert "request failed" not in space.api.log(world, "world")


def condition(space: Space, kind: str) -> dict[str, Any]:
    return dict(objects.condition(space.get("ModelMonitor", "machines"), kind) or {})


def until(space: Space, kind: str, status: str, reason: str, seconds: float) -> None:
    def missing() -> str | None:
        told = condition(space, kind)
        found = (told.get("status"), told.get("reason"))
        return (
            None
            if found == (status, reason)
            else f"{kind} to be {status} {reason}; it is {found}: {told.get('message')}"
        )

    space.until(missing, seconds)


def retrain(monitor: Object) -> str:
    told = objects.condition(monitor, "RetrainTriggered") or {}
    return f"{told.get('reason')}: {told.get('message')}"
