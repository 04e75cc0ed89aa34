"""Kubernetes Events about our objects. The same event again raises a count; losing one loses no state.

A namespace that is being deleted takes no new objects, Events included: that must not look like a failure.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from mainspring.kube import errors
from mainspring.kube.client import Api
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Event

MESSAGE_MAX = 1000
COMPONENT = "mainspring"

log = logging.getLogger("mainspring.events")


async def publish(api: Api, about: Object, event: Event, now: datetime) -> None:
    """The name is a hash of what the event says, so a repetition finds its predecessor."""
    manifest = _manifest(about, event, now)
    try:
        await api.create(manifest)
    except errors.AlreadyExists:
        await _count_again(api, objects.ref(manifest), now)
    except (errors.Refused, errors.NotFound) as error:
        log.debug("%s: an Event was refused: %s", objects.ref(about), error)


async def _count_again(api: Api, target: Ref, now: datetime) -> None:
    try:
        before = await api.get(target)
    except errors.NotFound:
        return
    await api.merge(target, {"count": int(before.get("count", 1)) + 1, "lastTimestamp": objects.format_time(now)})


def _manifest(about: Object, event: Event, now: datetime) -> dict[str, Any]:
    target = objects.ref(about)
    suffix = objects.stable_hash([objects.uid(about), event.reason, event.message], 16)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{target.name}.{suffix}", "namespace": target.namespace},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": target.kind,
            "name": target.name,
            "namespace": target.namespace,
            "uid": objects.uid(about),
            "resourceVersion": objects.resource_version(about),
        },
        "reason": event.reason,
        "message": event.message[:MESSAGE_MAX],
        "type": event.type,
        "count": 1,
        "firstTimestamp": objects.format_time(now),
        "lastTimestamp": objects.format_time(now),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
    }
