"""What an InferenceService says in numbers: whether it answers, with which version, how long that took to come, and how
rollouts go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mainspring.api.v1alpha1.rollouts import MetricVerdict
from mainspring.plan.common import figures, objects
from mainspring.plan.common.figures import Family, Figure
from mainspring.plan.common.objects import Object
from mainspring.plan.inferenceservice import analysis, delivery
from mainspring.plan.inferenceservice.observed import Observed

Status = Mapping[str, Any]
OWN = ("namespace", "service")

AVAILABLE = Family("mainspring_service_available", "1 if pods answer, 0 if none does; absent while none should.", OWN)
PODS_READY = Family("mainspring_service_pods_ready", "Pods of the serving revision that answer.", OWN)
INFO = Family("mainspring_service_info", "1; version is the one that answers.", (*OWN, "model", "version"))
LAST_ROLLOUT = Family(
    "mainspring_last_rollout_timestamp_seconds",
    "When the last rollout ended. outcome is Promoted, RolledBack, Failed, Aborted or Superseded.",
    (*OWN, "version", "outcome"),
)
LEAD_TIME = Family(
    "mainspring_served_lead_time_seconds",
    "Of the version that answers, until it did so first: since is data (its DatasetVersion was made) or training.",
    (*OWN, "since"),
)
LAST_ROLLOUT_TIME = Family(
    "mainspring_last_rollout_seconds", "How long the last rollout took, from its pods to its end.", (*OWN, "outcome")
)
FAILURES = Family(
    "mainspring_rollout_failure_ratio",
    "Of the changes among the last ten rollouts, the share that was rolled back, aborted or taken back, 0 to 1.",
    OWN,
)
ROLLOUTS = Family(
    "mainspring_rollouts",
    "Rollouts that ended. outcome is Promoted, RolledBack, Failed, Aborted or Superseded.",
    (*OWN, "outcome"),
    counter=True,
)
HELD_BACK = Family(
    "mainspring_rollout_held_back_timestamp_seconds",
    "When a rollout ended without taking what is still asked for. outcome is RolledBack, Failed or Aborted.",
    (*OWN, "version", "outcome", "reason"),
)
GOING_ON = Family(
    "mainspring_rollout_info",
    "1 while version is rolled out instead of another; verdict is that of all metrics together.",
    (*OWN, "version", "instead_of", "strategy", "phase", "verdict"),
)
STARTED = Family("mainspring_rollout_start_timestamp_seconds", "When its pods were asked for.", OWN)
STEP = Family("mainspring_rollout_step", "Of spec.rollout.steps, from 1.", OWN)
WEIGHT = Family("mainspring_rollout_weight_ratio", "Share of the requests that the candidate answers, 0 to 1.", OWN)
COPIED = Family("mainspring_rollout_mirror_ratio", "Share of the other requests of which it gets a copy, 0 to 1.", OWN)
EVIDENCE = Family("mainspring_rollout_evidence_ratio", "Of what is needed for a verdict, what has come, 0 to 1.", OWN)
VERDICT = Family("mainspring_rollout_verdict", "1; what a metric says so far.", (*OWN, "metric", "verdict"))
SEEN = Family(
    "mainspring_rollout_requests", "Requests, rows or labels of the candidate that were judged.", (*OWN, "metric")
)
NEEDED = Family("mainspring_rollout_requests_needed", "As many have to be judged.", (*OWN, "metric"))
BAD = Family(
    "mainspring_rollout_bad_ratio",
    "Share that failed, was slow, wrong or different. revision is stable or candidate.",
    (*OWN, "metric", "revision"),
)
FAMILIES = (
    AVAILABLE, PODS_READY, INFO, LAST_ROLLOUT, LEAD_TIME, LAST_ROLLOUT_TIME, FAILURES, ROLLOUTS, HELD_BACK, GOING_ON, STARTED,
    STEP, WEIGHT, COPIED, EVIDENCE, VERDICT, SEEN, NEEDED, BAD,
)  # fmt: skip


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
    took = figures.seconds(last.get("startedAt"), last.get("time"))
    yield from LAST_ROLLOUT_TIME(*own, last.get("outcome", ""), value=took)
    yield from FAILURES(*own, value=delivery.failure_ratio(status.get("rollouts") or ()))
    for outcome, count in (status.get("rolloutsEnded") or {}).items():
        yield from ROLLOUTS(*own, outcome, value=count)
    yield from _held_back(own, status.get("heldBack") or {})
    yield from _going_on(own, status.get("rollout") or {})
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


def _held_back(own: tuple[str, str], held: Status) -> Iterator[Figure]:
    told = [str(held.get(field, "")) for field in ("version", "outcome", "reason")]
    yield from HELD_BACK(*own, *told, value=figures.timestamp(held.get("time")))


def _going_on(own: tuple[str, str], rollout: Status) -> Iterator[Figure]:
    if not rollout:
        return
    told = [str(rollout.get(field, "")) for field in ("version", "fromVersion", "strategy", "phase", "verdict")]
    metrics = [MetricVerdict.model_validate(metric) for metric in rollout.get("metrics") or ()]
    yield from GOING_ON(*own, *told, value=1)
    yield from STARTED(*own, value=figures.timestamp(rollout.get("startedAt")))
    yield from STEP(*own, value=rollout.get("step", 0) + 1)
    yield from WEIGHT(*own, value=rollout.get("weight", 0) / 100)
    yield from COPIED(*own, value=rollout.get("mirror", 0) / 100)
    yield from EVIDENCE(*own, value=analysis.share(metrics) if metrics else None)
    for metric in metrics:
        yield from _of_metric(own, metric)


def _of_metric(own: tuple[str, str], metric: MetricVerdict) -> Iterator[Figure]:
    yield from VERDICT(*own, metric.name, metric.verdict, value=1)
    yield from SEEN(*own, metric.name, value=metric.requests)
    yield from NEEDED(*own, metric.name, value=metric.needed)
    if metric.requests is not None:  # a query has a number of its own, which is no share
        yield from BAD(*own, metric.name, "stable", value=metric.stable)
        yield from BAD(*own, metric.name, "candidate", value=metric.candidate)
