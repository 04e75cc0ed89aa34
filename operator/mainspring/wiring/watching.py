"""The watches: kopf lists and watches every kind, fills the cache, and says which keys to look at.

`index` callbacks run for the whole initial list of every kind before any `event` handler does, so no reconcile ever
decides from half a cache. Neither writes anything to the objects: no annotations, no finalizers, no events.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from mainspring.api.v1alpha1.common import GROUP, LABEL_MANAGED_BY, VERSION
from mainspring.engine import metrics
from mainspring.kube import client, errors
from mainspring.kube.resources import CHILDREN, OURS, Resource
from mainspring.kube.store import Store
from mainspring.plan.common import objects

CRD_LOOK_SECONDS = 3.0
OUR_KINDS = frozenset(resource.kind for resource in OURS)
log = logging.getLogger("mainspring.watching")
Notice = Callable[[Mapping[str, Any]], None]


def build_registry(store: Store, notice: Notice) -> kopf.OperatorRegistry:
    """`notice` is called with every object that changed, after the cache took it over; it must not fail or wait."""
    registry, filled = kopf.OperatorRegistry(), asyncio.Event()
    kopf.on.login(id="login", registry=registry)(_login)
    for resource in (*OURS, *CHILDREN):
        _watch(registry, resource, store, notice, filled)
    return registry


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """The same credentials as our own client: the pod's ServiceAccount, else the kubeconfig."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def _watch(
    registry: kopf.OperatorRegistry, resource: Resource, store: Store, notice: Notice, filled: asyncio.Event
) -> None:
    # Coroutines, although they wait for nothing: kopf runs plain functions in threads, and the cache has no locks.
    async def fill(body: kopf.Body, **_: Any) -> None:
        store.put(_complete(dict(body), resource))

    async def changed(event: Mapping[str, Any], **_: Any) -> None:
        filled.set()
        metrics.LAST_EVENT.labels(resource.kind).set(time.time())
        obj = _complete(event["object"], resource)
        if event.get("type") == "DELETED":
            store.remove(obj)
            _forget(obj)
        else:
            store.put(obj)
            _tell(obj)
        notice(obj)

    def is_filling(**_: Any) -> bool:
        return not filled.is_set()

    group, version, plural = resource.group, resource.version, resource.plural
    kopf.index(group=group, version=version, plural=plural, id="cache", registry=registry, when=is_filling)(fill)
    kopf.on.event(group=group, version=version, plural=plural, id=f"watch-{plural}", registry=registry)(changed)


def _complete(obj: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
    """Items of a list come without kind and apiVersion."""
    return {**obj, "kind": resource.kind, "apiVersion": resource.api_version}


def _tell(obj: Mapping[str, Any]) -> None:
    if obj["kind"] in OUR_KINDS:
        metrics.observe_readiness(obj)


def _forget(obj: Mapping[str, Any]) -> None:
    if obj["kind"] in OUR_KINDS:
        metrics.forget(objects.ref(obj))


async def await_kinds(api: client.Client) -> None:
    """Returns once the API server knows all our kinds: the CRDs may be installed after the operator."""
    path = f"/apis/{GROUP}/{VERSION}"
    while missing := {resource.plural for resource in OURS} - await _served(api, path):
        log.warning("waiting for the CRDs of %s: %s", GROUP, ", ".join(sorted(missing)))
        await asyncio.sleep(CRD_LOOK_SECONDS)


async def _served(api: client.Client, path: str) -> set[str]:
    try:
        found = await api.request("GET", path, "APIResourceList")
    except errors.KubeError:
        return set()
    return {resource["name"] for resource in found.get("resources") or ()}


class _NoMemory(kopf.DiffBaseStorage):
    """kopf would copy every object of every event to find out what changed; nobody asks, and nothing may be written."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:  # noqa: ARG002
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> None:  # noqa: ARG002
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:  # noqa: ARG002
        return None


def build_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoMemory()
    # Silent dead watches are ended by the server, and at the latest by us.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    for resource in CHILDREN:
        # Filtered by the API server: the pods of a big cluster never reach us.
        settings.watching.label_selectors[
            f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        ] = f"{LABEL_MANAGED_BY}=mainspring"
    # Would need the right to list CRDs and namespaces; `await_kinds` is all that we want of it.
    settings.scanning.disabled = True
    return settings
