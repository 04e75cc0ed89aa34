"""Why the API server refused to make something, in one word, and what to do about it."""

from __future__ import annotations

import re

# Kubernetes gives every pod that it tries to make another name: a message that holds one would never be the same twice.
_POD = re.compile(r'^(Error creating: )?pods "[^"]*" is forbidden: ')

HINTS = {
    "QuotaExceeded": "raise the ResourceQuota or lower spec.resources; this is tried again by itself",
    "PodSecurityViolation": "the namespace's Pod Security level refuses what spec.podTemplate asks for",
    "Forbidden": "the API server or an admission policy refused it; this is tried again by itself",
    "Invalid": "the API server refused it: correct the field that it names",
    "CreateContainerConfigError": "create what it names, or correct the name; this is tried again by itself",
    "NamespaceTerminating": "the namespace is being deleted",
    "PodsRefused": "this is tried again by itself",
}


def pod_reason(message: str) -> str:
    """Of a pod that a Job or a Deployment could not make."""
    if "exceeded quota" in message:
        return "QuotaExceeded"
    return "PodSecurityViolation" if "violates PodSecurity" in message else "PodsRefused"


def pod_message(message: str) -> str:
    """The same for every try."""
    return explain(pod_reason(message), _POD.sub("", message))


def waiting_reason(reason: str) -> str:
    """Of a container. The kubelet says the two in turns, for as long as an image cannot be pulled."""
    return "ImagePullBackOff" if reason == "ErrImagePull" else reason


def passes_by_itself(message: str) -> bool:
    """The kubelet has not read a Secret or ConfigMap in time, which says nothing of whether it is there."""
    return "failed to sync" in message and "timed out waiting for the condition" in message


def explain(reason: str, message: str) -> str:
    return f"{message} ({HINTS[reason]})" if reason in HINTS else message
