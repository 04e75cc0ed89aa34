"""Where the internal port of a pod is."""

from __future__ import annotations

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.inferenceservice.builders import INTERNAL_PORT


def is_up(pod: Object) -> bool:
    status = objects.status(pod)
    return bool(status.get("podIP")) and status.get("phase") == "Running"


def internal(pod: Object) -> str:
    ip = str(objects.status(pod)["podIP"])
    return f"[{ip}]:{INTERNAL_PORT}" if ":" in ip else f"{ip}:{INTERNAL_PORT}"
