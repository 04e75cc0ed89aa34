"""Why pods of a revision do not serve."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mainspring.plan.inferenceservice import failures
from tests import builders

DEPLOYMENT: dict[str, Any] = {"metadata": {"name": "d"}, "status": {}}
SAID = json.dumps({"reason": "ModelNotLoadable", "message": "unknown type"})


def pod(*statuses: dict[str, Any], **conditions: str) -> dict[str, Any]:
    found = [{"type": kind, "status": status} for kind, status in conditions.items()]
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": list(statuses), "conditions": found}}


def ended(code: int = 1, restarts: int = 0, last: bool = False, **more: Any) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, **more}}
    return {"restartCount": restarts, "state": {} if last else state, "lastState": state if last else {}}


def reason(*pods: dict[str, Any], deployment: dict[str, Any] = DEPLOYMENT) -> str | None:
    found = failures.find_failure(deployment, pods)
    return found.reason if found else None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ended(3, message=SAID), "ModelNotLoadable"),
        (ended(3, last=True, message=SAID), "ModelNotLoadable"),
        (ended(137, reason="OOMKilled"), "OutOfMemory"),
        (ended(1, restarts=1), None),
        (ended(1, restarts=2), "ContainerFailed"),
        (ended(0, restarts=9), None),
        (ended(1, restarts=2, message="no JSON"), "ContainerFailed"),
        (ended(1, restarts=0, message='{"message": "no reason"}'), None),
        (ended(1, restarts=0, message='{"reason": "not one word"}'), None),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}, "image": "runtime:1"}, "ImagePullBackOff"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}, "image": "runtime:1"}, "ImagePullBackOff"),
        (
            {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}}},
            "CreateContainerConfigError",
        ),
        ({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": builders.NOT_READ_IN_TIME}}}, None),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None),
        ({"state": {"running": {}}}, None),
    ],
)
def test_what_a_container_says(status: dict[str, Any], expected: str | None) -> None:
    assert reason(pod(status)) == expected


def test_a_ready_pod_has_not_failed_whatever_was_before() -> None:
    assert reason(pod(ended(3, restarts=5, last=True, message=SAID), Ready="True")) is None


def test_a_pod_that_is_deleted_does_not_count() -> None:
    gone = pod(ended(3, message=SAID))
    gone["metadata"]["deletionTimestamp"] = "now"
    assert reason(gone) is None


def test_one_failing_pod_among_good_ones_is_found() -> None:
    assert reason(pod(Ready="True"), pod(ended(3, message=SAID))) == "ModelNotLoadable"


def test_no_room_on_any_node() -> None:
    waiting = pod()
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "x"}
    ]
    assert reason(waiting) == "Unschedulable"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("exceeded quota: small", "QuotaExceeded"),
        ('violates PodSecurity "restricted"', "PodSecurityViolation"),
        ("admission webhook says no", "PodsRefused"),
    ],
)
def test_pods_that_cannot_be_made(message: str, expected: str) -> None:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": message}]
    assert reason(deployment={"metadata": {"name": "d"}, "status": {"conditions": conditions}}) == expected


def test_pods_that_never_become_ready() -> None:
    conditions = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    deployment = {"metadata": {"name": "d"}, "status": {"conditions": conditions}}
    assert reason(deployment=deployment) == "ProgressDeadlineExceeded"
