"""The API server as the user reaches it: objects of one namespace as plain dicts, failures as sentences."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import client, config

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.api.v1alpha1.common import API_VERSION, GROUP
from mainspring.plan.common.objects import Object
from mainspring.plugin.errors import Forbidden, NoCluster, NotFound, NotInstalled, PluginError

TIMEOUT = urllib3.Timeout(connect=5, read=30)
PAGE_OBJECTS = 500
NAMES_SHOWN = 5
FIELD_MANAGER = "kubectl-mainspring"
MERGE_PATCH = "application/merge-patch+json"
# What the library raises for a file that is no kubeconfig, beside its own exception.
BROKEN_KUBECONFIG = (yaml.YAMLError, OSError, AttributeError, KeyError, TypeError, ValueError)


class Cluster:
    """`namespace` is the one that was asked for, else the context's own."""

    def __init__(self, transport: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._transport = transport

    def get(self, kind: str, name: str) -> Object:
        """Raises NotFound, which says what there is instead."""
        try:
            return self._request(f"{self._path(kind)}/{name}", kind)
        except NotFound:
            raise NotFound(self._instead(kind, name)) from None

    def find(self, kind: str, name: str | None) -> Object | None:
        if not name:
            return None
        try:
            return self._request(f"{self._path(kind)}/{name}", kind)
        except NotFound:
            return None

    def every(self, kind: str) -> list[Object]:
        """All of the namespace, in the order of names."""
        found: list[Object] = []
        fields = {"limit": str(PAGE_OBJECTS)}
        while True:
            page = self._request(self._path(kind), kind, fields)
            found += page.get("items") or ()
            if not (more := page["metadata"].get("continue")):
                return sorted(found, key=lambda obj: str(obj["metadata"]["name"]))
            fields["continue"] = more

    def patch(self, kind: str, name: str, change: Mapping[str, Any]) -> Object:
        """A JSON merge patch: what is not named stays, None removes. Raises NotFound, or PluginError for a refusal."""
        return self._request(f"{self._path(kind)}/{name}", kind, {"fieldManager": FIELD_MANAGER}, "PATCH", change)

    def _path(self, kind: str) -> str:
        if kind in BY_KIND:
            return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{BY_KIND[kind].plural}"
        return f"/api/v1/namespaces/{self.namespace}/{kind.lower()}s"

    def _instead(self, kind: str, name: str) -> str:
        names = [str(obj["metadata"]["name"]) for obj in self.every(kind)]
        missing = f"{kind} {name} does not exist in namespace {self.namespace}"
        if near := difflib.get_close_matches(name, names, 1, 0.6):
            return f"{missing}; did you mean {near[0]}?"
        if not names:
            return f"{missing}, which has no {kind} at all: choose another namespace with -n"
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        return f"{missing}; it has {', '.join(names[:NAMES_SHOWN])}{more}"

    def _request(
        self,
        path: str,
        kind: str,
        fields: Mapping[str, str] | None = None,
        verb: str = "GET",
        change: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "User-Agent": "mainspring-cli"}
        if change is not None:
            headers["Content-Type"] = MERGE_PATCH
        host = self._transport.configuration.host
        url = f"{host}{path}?{urlencode(fields)}" if fields else f"{host}{path}"
        body = None if change is None else json.dumps(change)
        try:
            self._transport.update_params_for_auth(headers, [], ["BearerToken"], path, verb, None)
            answer = self._transport.rest_client.pool_manager.request(
                verb, url, body=body, headers=headers, timeout=TIMEOUT, retries=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoCluster(f"the API server at {host} does not answer: {_cause(error)}") from error
        found = _decoded(answer.data)
        if answer.status >= 400:
            raise _failure(answer.status, found, kind)
        return found


def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """By the kubeconfig, as kubectl finds it; without one, inside a pod, by its ServiceAccount. Raises NoCluster."""
    try:
        transport = config.new_client_from_config(kubeconfig, context)  # type: ignore[no-untyped-call]
        own = _own_namespace(kubeconfig, context)
    except config.ConfigException as error:
        if kubeconfig or context or not (found := _in_pod()):
            raise NoCluster(f"no cluster: {error} (set KUBECONFIG, or --kubeconfig and --context)") from error
        return Cluster(found, namespace or "default")
    except BROKEN_KUBECONFIG as error:
        raise NoCluster(f"the kubeconfig cannot be used: {_cause(error)}") from error
    return Cluster(transport, namespace or own)


def _own_namespace(kubeconfig: str | None, context: str | None) -> str:
    every, active = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    chosen = next((c for c in every if c["name"] == context), active) if context else active
    return str(chosen.get("context", {}).get("namespace") or "default")


def _in_pod() -> client.ApiClient | None:
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        return None
    return client.ApiClient(configuration)


def _failure(code: int, body: Mapping[str, Any], kind: str) -> PluginError:
    message = str(body.get("message") or f"the API server answered {code}").strip()
    if code == 404 and not (body.get("details") or {}).get("name"):
        return NotInstalled(
            f"the cluster does not know {kind} objects: is Mainspring installed there (CRDs of {GROUP}), and is this the right context?"
        )
    if code == 404:
        return NotFound(message)
    if code == 401:
        return Forbidden(f"the API server does not accept these credentials: log in again ({message})")
    return Forbidden(message) if code == 403 else PluginError(f"{message} (HTTP {code})")


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cause(error: BaseException) -> str:
    """Of urllib3's nested errors the innermost, in one line."""
    reason = getattr(error, "reason", None)
    text = str(reason if isinstance(reason, Exception) else error)
    return " ".join(text.split("): ")[-1].split()) or type(error).__name__
