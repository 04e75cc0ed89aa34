"""The watches: kopf lists and watches every kind, fills the cache, and says which keys to look at.

`index` callbacks run for the whole initial list of every kind before any `event` handler does, so no reconcile ever
decides from half a cache. Neither writes anything to the objects: no annotations, no finalizers, no events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY
from mainspring.engine import metrics
from mainspring.kube.resources import CHILDREN, OURS, Resource
from mainspring.kube.store import Store
from mainspring.plan.common import objects

OUR_KINDS = frozenset(resource.kind for resource in OURS)
Notice = Callable[[Mapping[str, Any]], None]


def build_registry(store: Store, notice: Notice) -> kopf.OperatorRegistry:
    """`notice` is called with every object that changed, after the cache took it over; it must not fail or wait."""
    registry = kopf.OperatorRegistry()
    for resource in (*OURS, *CHILDREN):
        _watch(registry, resource, store, notice)
    return registry


def _watch(registry: kopf.OperatorRegistry, resource: Resource, store: Store, notice: Notice) -> None:
    def fill(body: kopf.Body, **_: Any) -> None:
        store.put(_complete(dict(body), resource))

    def changed(event: Mapping[str, Any], **_: Any) -> None:
        metrics.LAST_EVENT.labels(resource.kind).set(time.time())
        obj = _complete(event["object"], resource)
        if event.get("type") == "DELETED":
            store.remove(obj)
            _forget(obj)
        elif resource.kind in OUR_KINDS:
            metrics.observe_readiness(obj)
        notice(obj)

    group, version, plural = resource.group, resource.version, resource.plural
    kopf.index(group=group, version=version, plural=plural, id=f"cache-{plural}", registry=registry)(fill)
    kopf.on.event(group=group, version=version, plural=plural, id=f"watch-{plural}", registry=registry)(changed)


def _complete(obj: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
    """Items of a list come without kind and apiVersion."""
    return {**obj, "kind": resource.kind, "apiVersion": resource.api_version}


def _forget(obj: Mapping[str, Any]) -> None:
    if obj["kind"] in OUR_KINDS:
        metrics.forget(objects.ref(obj))


def build_settings(namespaces: tuple[str, ...]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Silent dead watches are ended by the server, and at the latest by us.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    for resource in CHILDREN:
        # Filtered by the API server: the pods of a big cluster never reach us.
        settings.watching.label_selectors[
            f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        ] = f"{LABEL_MANAGED_BY}=mainspring"
    # Without these rights (a namespaced install) kopf would only complain.
    settings.scanning.disabled = bool(namespaces)
    return settings
