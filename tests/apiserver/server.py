"""The API server in a few verbs over plain objects, as the administrator or as somebody else."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import client, config
from urllib3 import HTTPHeaderDict

from mainspring.api.v1alpha1 import BY_KIND
from tests.cluster import wait

Manifest = dict[str, Any]

READY_SECONDS = 30.0
FIELD_MANAGER = "tests"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
STRICT = {"fieldValidation": "Strict"}
DRY_RUN = {"dryRun": "All", **STRICT}
CLUSTER_SCOPED = frozenset({"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"})
PLURALS = {
    "NetworkPolicy": "networkpolicies",
    **{kind.kind: kind.plural for kind in BY_KIND.values()},
}


class Refused(Exception):
    """The API server said no; `code` is the HTTP status, the text is its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Server:
    """A connection; `user` and `groups` are impersonated when set."""

    transport: client.ApiClient
    user: str = ""
    groups: tuple[str, ...] = field(default=())

    @classmethod
    def connect(cls, kubeconfig: Path) -> Server:
        """As the administrator of a kubeconfig."""
        return cls(config.new_client_from_config(str(kubeconfig)))  # type: ignore[no-untyped-call]

    def as_user(self, user: str, *groups: str) -> Server:
        """The same server, as somebody else."""
        return dataclasses.replace(self, user=user, groups=groups)

    def as_service_account(self, namespace: str, name: str) -> Server:
        """The same server, as a ServiceAccount."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return self.as_user(f"system:serviceaccount:{namespace}:{name}", *groups)

    def create(self, manifest: Manifest, **query: str) -> Manifest:
        return self.request("POST", collection(manifest), manifest, query=STRICT | query)

    def get(self, manifest: Manifest) -> Manifest:
        return self.request("GET", item(manifest))

    def apply(self, manifest: Manifest, subresource: str = "", **query: str) -> Manifest:
        """Server-side apply."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", **STRICT, **query}
        return self.request("PATCH", item(manifest) + subresource, manifest, APPLY, query)

    def merge(self, manifest: Manifest, change: Manifest, subresource: str = "", **query: str) -> Manifest:
        """A merge patch; null removes a field."""
        return self.request("PATCH", item(manifest) + subresource, change, MERGE, STRICT | query)

    def delete(self, manifest: Manifest) -> None:
        self.request("DELETE", item(manifest))

    def wait_for_condition(self, manifest: Manifest, kind: str) -> None:
        """Return when the object has this condition."""

        def missing() -> str | None:
            conditions = self.get(manifest).get("status", {}).get("conditions") or []
            held = any(found["type"] == kind and found["status"] == "True" for found in conditions)
            return None if held else f"{manifest['metadata']['name']} is not {kind}: {conditions}"

        wait.until(missing, READY_SECONDS)

    def request(
        self,
        verb: str,
        path: str,
        body: Manifest | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
        accept: str = "application/json",
    ) -> Manifest:
        """One request; raises `Refused` for anything but success."""
        headers: dict[str, Any] = {"Accept": accept, "Content-Type": content_type}
        self.transport.update_params_for_auth(headers, [], ["BearerToken"], path, verb, None)
        url = self.transport.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        answer = self.transport.rest_client.pool_manager.request(
            verb, url, body=json.dumps(body) if body else None, headers=self._impersonating(headers)
        )
        parsed: Manifest = json.loads(answer.data or b"{}")
        if answer.status >= 400:
            raise Refused(answer.status, parsed.get("message", ""))
        return parsed

    def _impersonating(self, headers: dict[str, Any]) -> HTTPHeaderDict:
        # The same header once for each group: an ordinary dict has no room for that.
        complete = HTTPHeaderDict(headers)
        if self.user:
            complete["Impersonate-User"] = self.user
        for group in self.groups:
            complete.add("Impersonate-Group", group)
        return complete


def collection(manifest: Manifest) -> str:
    """The path under which objects of this kind are created."""
    version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest.get("metadata", {})
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    scope = "" if kind in CLUSTER_SCOPED or "namespace" not in metadata else f"/namespaces/{metadata['namespace']}"
    return f"{root}{scope}/{PLURALS.get(kind, kind.lower() + 's')}"


def item(manifest: Manifest) -> str:
    """The path of an object."""
    return f"{collection(manifest)}/{manifest['metadata']['name']}"
