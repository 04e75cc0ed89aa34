"""The watches: what feeds the cache, and with it the work queue.

Our own kinds are watched by kopf, whose handlers write nothing to the objects: no annotations, no finalizers, no events.
Children are followed by informers of the engine: there are six and more of them for each service, and most of their changes are
echoes of our own writes (docs/decisions/0007-children-by-informer.md). All is listed once before kopf begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import kopf

from mainspring.api.v1alpha1.common import GROUP, LABEL_MANAGED_BY, VERSION
from mainspring.engine.informer import Informer, Intake
from mainspring.kube import client, errors
from mainspring.kube.resources import CHILDREN, OURS, Resource
from mainspring.plan.common.settings import Settings

CRD_LOOK_SECONDS = 3.0
# By the API server: the pods of a big cluster never reach us.
CHILDREN_SELECTOR = f"{LABEL_MANAGED_BY}=mainspring"
ALL_NAMESPACES = ("",)
log = logging.getLogger("mainspring.watching")


def build_informers(api: client.Client, intake: Intake, settings: Settings) -> tuple[list[Informer], list[Informer]]:
    """Those of our kinds, which only list, and those of the children."""
    namespaces = settings.watch_namespaces or ALL_NAMESPACES
    ours = [Informer(api, intake, resource, space) for resource in OURS for space in namespaces]
    children = [
        Informer(api, intake, resource, space, CHILDREN_SELECTOR) for resource in CHILDREN for space in namespaces
    ]
    return ours, children


async def follow_ours(
    intake: Intake, settings: Settings, missed: Callable[[], None], begun: asyncio.Event, stop: asyncio.Event
) -> None:
    """kopf, until `stop`. `missed` is called when changes were lost: our kinds have to be listed again."""
    await kopf.operator(
        registry=build_registry(intake, missed),
        settings=build_settings(),
        standalone=True,
        # kopf would ask the system for the user's name, and a container's user has none.
        identity=cast(Any, "mainspring"),
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        ready_flag=begun,
        stop_flag=stop,
    )


def build_registry(intake: Intake, missed: Callable[[], None]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    kopf.on.login(id="login", registry=registry)(_login)
    for resource in OURS:
        _watch(registry, resource, intake, missed)
    return registry


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """The same credentials as our own client: the pod's ServiceAccount, else the kubeconfig."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def _watch(registry: kopf.OperatorRegistry, resource: Resource, intake: Intake, missed: Callable[[], None]) -> None:
    # A coroutine, although it waits for nothing: kopf runs plain functions in threads, and the cache has no locks.
    async def happened(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
        obj = resource.complete(event["object"])
        if event["type"] == "DELETED":
            intake.removal(obj)
        elif event["type"] is not None:
            intake.change(obj)
        else:
            intake.listing(obj)
            # kopf lists once more when its watch was away for too long, and does not say what has gone meanwhile.
            if memo.get("known"):
                missed()
        memo["known"] = True

    group, version, plural = resource.group, resource.version, resource.plural
    kopf.on.event(group=group, version=version, plural=plural, id=f"watch-{plural}", registry=registry)(happened)


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

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def build_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoMemory()
    # Silent dead watches are ended by the server, and at the latest by us.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    # Would need the right to list CRDs and namespaces; `await_kinds` is all that we want of it.
    settings.scanning.disabled = True
    return settings
