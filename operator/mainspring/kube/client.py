"""The API server as a few verbs over plain dicts.

`Api` is what the engine needs; `Client` is the real one, on `kubernetes.aio` for transport and credentials (in-cluster
or kubeconfig, with refresh). The simulation has another.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import prometheus_client
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from mainspring.api.v1alpha1.common import FIELD_MANAGER
from mainspring.kube import errors, resources
from mainspring.kube.resources import Resource
from mainspring.plan.common.objects import Manifest, Object, Ref, ref

TIMEOUT = aiohttp.ClientTimeout(total=20)
# The server ends a watch after this time; until then it says at least every minute that it is alive.
WATCH_SECONDS = 300
WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=75)
PAGE_OBJECTS = 100
# None: each watch holds a connection for itself, and no more requests are under way than there are workers.
CONNECTIONS_LIMIT = 0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

REQUESTS = prometheus_client.Counter(
    "mainspring_api_requests_total", "Requests to the API server.", ["verb", "resource", "code"]
)


class Api(Protocol):
    async def get(self, target: Ref) -> Object: ...
    async def list_objects(self, kind: str, namespace: str = "", **query: str) -> list[Object]: ...
    async def create(self, manifest: Manifest) -> Object: ...
    async def apply(self, manifest: Manifest, field_manager: str = FIELD_MANAGER) -> Object: ...
    async def apply_status(self, manifest: Manifest) -> Object: ...
    async def merge(self, target: Ref, patch: Manifest) -> Object: ...
    async def delete(self, target: Ref, uid: str) -> None: ...


async def connect() -> Client:
    """Inside a pod by its ServiceAccount, else by the kubeconfig."""
    configuration = kubernetes_client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        path = os.environ.get("KUBECONFIG")
        await kubernetes_config.load_kube_config(path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.connection_pool_maxsize = CONNECTIONS_LIMIT
    # Otherwise every request looks for a proxy, and reads ~/.netrc in a thread. kopf's watches use no proxy either.
    configuration.client_session_kwargs = {"trust_env": False}
    return Client(kubernetes_client.ApiClient(configuration))


class Client:
    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._transport.user_agent = "mainspring"

    async def close(self) -> None:
        await self._transport.close()

    async def get(self, target: Ref) -> Object:
        return await self.request("GET", resources.path(target), target.kind)

    async def list_objects(self, kind: str, namespace: str = "", **query: str) -> list[Object]:
        resource = resources.BY_KIND[kind]
        answer = await self.request("GET", resource.path(namespace), kind, query=query)
        return [resource.complete(item) for item in answer.get("items") or ()]

    async def pages(self, resource: Resource, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any], None]:
        """A list of everything, in pieces: raw lists with `items` and `metadata.resourceVersion`."""
        query = {"limit": str(PAGE_OBJECTS), "labelSelector": selector}
        while True:
            page = await self.request("GET", resource.path(namespace), resource.kind, query=query)
            yield page
            if not (more := page["metadata"].get("continue")):
                return
            query["continue"] = more

    async def watch(
        self, resource: Resource, namespace: str, selector: str, since: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        """What happened after that resourceVersion, as it happens, until the server ends the stream."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        query |= {"labelSelector": selector, "resourceVersion": since}
        try:
            async with await self._open("GET", resource.path(namespace), query, limits=WATCH_TIMEOUT) as response:
                REQUESTS.labels("WATCH", resource.kind, str(response.status)).inc()
                if response.status >= 400:
                    raise errors.from_status(response.status, _decode(await response.read()))
                async for line in response.content:
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise errors.Transient(f"WATCH {resource.plural}: {type(error).__name__} {error}") from error

    async def create(self, manifest: Manifest) -> Object:
        resource = resources.BY_KIND[manifest["kind"]]
        path = resource.path(manifest["metadata"].get("namespace", ""))
        return await self.request("POST", path, resource.kind, manifest, query={"fieldManager": FIELD_MANAGER})

    async def apply(self, manifest: Manifest, field_manager: str = FIELD_MANAGER) -> Object:
        return await self._patch(ref(manifest), manifest, APPLY, fieldManager=field_manager, force="true")

    async def apply_status(self, manifest: Manifest) -> Object:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._patch(ref(manifest), manifest, APPLY, subresource="status", **query)

    async def merge(self, target: Ref, patch: Manifest) -> Object:
        return await self._patch(target, patch, MERGE, fieldManager=FIELD_MANAGER)

    async def delete(self, target: Ref, uid: str) -> None:
        """Deletes that very object; one that is gone or was replaced already counts as deleted."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self.request("DELETE", resources.path(target), target.kind, body)
        except (errors.NotFound, errors.Conflict):
            return

    async def _patch(
        self, target: Ref, body: Manifest, content_type: str, subresource: str = "", **query: str
    ) -> Object:
        path = resources.path(target, subresource)
        return await self.request("PATCH", path, target.kind, body, content_type=content_type, query=query)

    async def request(
        self,
        verb: str,
        path: str,
        kind: str,
        body: Manifest | None = None,
        *,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request; raises a `KubeError` for anything but success."""
        try:
            async with await self._open(verb, path, query, body, content_type) as response:
                code, data = response.status, _decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            REQUESTS.labels(verb, kind, "error").inc()
            raise errors.Transient(f"{verb} {path}: {type(error).__name__} {error}") from error
        REQUESTS.labels(verb, kind, str(code)).inc()
        if code >= 400:
            raise errors.from_status(code, data)
        return data

    async def _open(
        self,
        verb: str,
        path: str,
        query: dict[str, str] | None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        limits: aiohttp.ClientTimeout = TIMEOUT,
    ) -> aiohttp.ClientResponse:
        """The beginning of an answer; leaving it with `async with` gives the connection back."""
        given = urlencode({key: value for key, value in (query or {}).items() if value})
        url = f"{self._transport.configuration.host}{path}" + (f"?{given}" if given else "")
        headers = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": "mainspring"}
        await self._transport.update_params_for_auth(headers, [], ["BearerToken"], "", verb, None)
        answer = await self._transport.rest_client.request(
            verb, url, headers=headers, body=body, _request_timeout=limits
        )
        response: aiohttp.ClientResponse = answer.response
        return response


def _decode(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {"message": data[:300].decode(errors="replace")}
    return value if isinstance(value, dict) else {"message": str(value)[:300]}
