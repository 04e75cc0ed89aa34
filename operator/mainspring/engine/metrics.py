"""The operator's own metrics."""

from __future__ import annotations

from collections.abc import Iterable

import prometheus_client as prometheus

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object

RECONCILE_SECONDS = prometheus.Histogram(
    "mainspring_reconcile_seconds",
    "Time of one reconcile, by kind and outcome.",
    ["kind", "outcome"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
QUEUE_DEPTH = prometheus.Gauge("mainspring_workqueue_depth", "Keys that wait for a worker.")
WRITES = prometheus.Counter("mainspring_writes_total", "Writes by reconciles.", ["kind", "what"])
BUGS = prometheus.Counter(
    "mainspring_reconcile_bugs_total", "Reconciles that failed for a reason nobody foresaw.", ["kind"]
)
OBJECT_READY = prometheus.Gauge(
    "mainspring_object_ready", "1 if the object is Ready, else 0.", ["kind", "namespace", "name"]
)
LAST_EVENT = prometheus.Gauge("mainspring_watch_last_event_timestamp_seconds", "When a watch last delivered.", ["kind"])
LEADING = prometheus.Gauge("mainspring_leading", "1 while this process holds the Lease.")


def begin(kinds: Iterable[str]) -> None:
    """A counter that begins with its first error would show no increase then."""
    for kind in kinds:
        BUGS.labels(kind)


def observe_readiness(obj: Object, gone: bool = False) -> None:
    """What is told of an object of ours, as long as it is there."""
    target = objects.ref(obj)
    names = (target.kind, target.namespace, target.name)
    if gone:
        OBJECT_READY.remove(*names)
    else:
        OBJECT_READY.labels(*names).set(objects.condition_is(obj, "Ready"))
