"""The verdict that tools come to, by the rules of kstatus (sigs.k8s.io/cli-utils, pkg/kstatus) for kinds it does not know."""

from __future__ import annotations

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object

CURRENT, IN_PROGRESS, FAILED, TERMINATING = "Current", "InProgress", "Failed", "Terminating"


def verdict(obj: Object) -> str:
    """Terminating, InProgress, Failed or Current."""
    if objects.is_deleting(obj):
        return TERMINATING
    observed = objects.status(obj).get("observedGeneration")
    if observed is not None and observed != objects.generation(obj):
        return IN_PROGRESS
    return _by_standard_conditions(obj) or _by_ready(obj)


def _by_standard_conditions(obj: Object) -> str:
    """The first of the two that is true, in the order of the list."""
    for condition in objects.status(obj).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return IN_PROGRESS if condition["type"] == "Reconciling" else FAILED
    return ""


def _by_ready(obj: Object) -> str:
    ready = objects.condition(obj, "Ready")
    return CURRENT if ready is None or ready["status"] == "True" else IN_PROGRESS
