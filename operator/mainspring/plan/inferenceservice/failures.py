"""Why pods of a revision do not serve, from what Kubernetes says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.api import contract
from mainspring.plan.common import jobs, objects, refusals
from mainspring.plan.common.objects import Object
from mainspring.plan.inferenceservice.observed import Failure

RESTARTS_TOLERATED = 2
CANNOT_PULL = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})

# What can heal without another revision: the candidate is waited for, and the message says what for.
HEALS = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "QuotaExceeded",
        "PodSecurityViolation",
        "PodsRefused",
        "Unschedulable",
        "ArtifactStoreUnavailable",
        "PortUnavailable",
        "VerificationKeyInvalid",
        *contract.SIGNATURE_REASONS,  # the version is verified again: if it is not signed, nobody wants it any more
    }
)


def find_failure(deployment: Object, its_pods: Sequence[Object]) -> Failure | None:
    """The most telling reason; None while everything is well or still starting."""
    for pod in its_pods:
        if found := _pod_failure(pod):
            return found
    return _deployment_failure(deployment)


def _pod_failure(pod: Object) -> Failure | None:
    if objects.is_deleting(pod) or objects.condition_is(pod, "Ready"):
        return None
    for status in objects.status(pod).get("containerStatuses") or ():
        if found := _terminated(status) or _cannot_start(status):
            return found
    return _unschedulable(pod)


def _terminated(status: Mapping[str, Any]) -> Failure | None:
    """What the server said when it ended; its own words count at once, an unexplained end after a few restarts."""
    for state in (status.get("state") or {}, status.get("lastState") or {}):
        ended = state.get("terminated")
        if not ended or ended.get("exitCode") == 0:
            continue
        if said := _said(ended.get("message")):
            return Failure(said[0], said[1], ended.get("exitCode"))
        if ended.get("reason") == "OOMKilled":
            return Failure(
                "OutOfMemory",
                "the server used more memory than its limit: raise spec.resources.limits.memory",
                ended.get("exitCode"),
            )
        if int(status.get("restartCount", 0)) >= RESTARTS_TOLERATED:
            return Failure(
                "ContainerFailed",
                f"the server ends with exit code {ended.get('exitCode')}: see its log",
                ended.get("exitCode"),
            )
    return None


def _said(message: str | None) -> tuple[str, str] | None:
    try:
        value = json.loads(message or "")
    except ValueError:
        return None
    if not isinstance(value, dict) or not jobs.WORD.fullmatch(str(value.get("reason", ""))):
        return None
    return str(value["reason"]), str(value.get("message", ""))[:2000]


def _cannot_start(status: Mapping[str, Any]) -> Failure | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason = waiting.get("reason")
    if reason in CANNOT_PULL:
        text = f"the image {status.get('image')} cannot be pulled: {waiting.get('message', '')}"
        return Failure(refusals.waiting_reason(reason), text[:2000])
    message = str(waiting.get("message", ""))
    if reason in ("CreateContainerConfigError", "CreateContainerError") and not refusals.passes_by_itself(message):
        return Failure(reason, refusals.explain(reason, message)[:2000])
    return None


def _unschedulable(pod: Object) -> Failure | None:
    scheduled = objects.condition(pod, "PodScheduled")
    if scheduled and scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Failure("Unschedulable", f"no node has room: {scheduled.get('message', '')}"[:2000])
    return None


def _deployment_failure(deployment: Object) -> Failure | None:
    refused = objects.condition(deployment, "ReplicaFailure")
    if refused and refused.get("status") == "True":
        message = str(refused.get("message", ""))
        return Failure(refusals.pod_reason(message), f"pods cannot be made: {refusals.pod_message(message)}"[:2000])
    progress = objects.condition(deployment, "Progressing")
    if progress and progress.get("reason") == "ProgressDeadlineExceeded":
        return Failure("ProgressDeadlineExceeded", "pods did not become ready in time: see the log of a pod")
    return None
