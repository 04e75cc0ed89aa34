"""What an InferenceService says in numbers: whether it answers, with which version, and how long that took to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mainspring.plan.common import figures, objects
from mainspring.plan.common.figures import Family, Figure
from mainspring.plan.common.objects import Object
from mainspring.plan.inferenceservice.observed import Observed

Status = Mapping[str, Any]
OWN = ("namespace", "service")

AVAILABLE = Family("mainspring_service_available", "1 if pods answer, 0 if none does; absent while none should.", OWN)
PODS_READY = Family("mainspring_service_pods_ready", "Pods of the serving revision that answer.", OWN)
INFO = Family("mainspring_service_info", "1; version is the one that answers.", (*OWN, "model", "version"))
LAST_ROLLOUT = Family(
    "mainspring_last_rollout_timestamp_seconds",
    "When the last rollout ended. outcome is Promoted, RolledBack, Failed or Superseded.",
    (*OWN, "version", "outcome"),
)
LEAD_TIME = Family(
    "mainspring_served_lead_time_seconds",
    "Of the version that answers, until it did so first: since is data (its DatasetVersion was made) or training.",
    (*OWN, "since"),
)
FAMILIES = (AVAILABLE, PODS_READY, INFO, LAST_ROLLOUT, LEAD_TIME)


def figures_of(observed: Observed, status: Status) -> Iterator[Figure]:
    own = (objects.namespace(observed.object), objects.name(observed.object))
    answering = status.get("stableVersion", "")
    if answering and not observed.spec.stop:
        yield from AVAILABLE(*own, value=figures.condition(status, "Available"))
    yield from PODS_READY(*own, value=status.get("readyReplicas", 0))
    yield from INFO(*own, answering.rpartition("-v")[0], answering, value=1 if answering else None)
    last = (status.get("rollouts") or [{}])[-1]
    told = (last.get("version", ""), last.get("outcome", ""))
    yield from LAST_ROLLOUT(*own, *told, value=figures.timestamp(last.get("time")))
    yield from _lead_times(own, observed, status)


def _lead_times(own: tuple[str, str], observed: Observed, status: Status) -> Iterator[Figure]:
    """Of a version that came by itself: one that was fixed or brought back says nothing of how fast delivery is."""
    version = observed.version
    if version is None or objects.name(version) != status.get("stableVersion"):
        return
    served = next((r["time"] for r in status.get("rollouts") or () if _brought(r, version)), None)
    started = (objects.spec(version).get("source") or {}).get("startedAt")
    made = observed.dataset_version["metadata"]["creationTimestamp"] if observed.dataset_version else None
    yield from LEAD_TIME(*own, "data", value=figures.seconds(made, served))
    yield from LEAD_TIME(*own, "training", value=figures.seconds(started, served))


def _brought(rollout: Status, version: Object) -> bool:
    return bool(rollout["version"] == objects.name(version) and rollout["outcome"] == "Promoted")
