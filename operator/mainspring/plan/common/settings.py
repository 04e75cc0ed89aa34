"""What the installation decides for all objects: images, artifact store, pod defaults.

Read once from the environment that the Helm chart sets; every field is one chart value. `from_env` is the only reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SETTINGS_ENV = {
    "runtime_image": "MAINSPRING_RUNTIME_IMAGE",
    "jobs_image": "MAINSPRING_JOBS_IMAGE",
    "namespace": "MAINSPRING_NAMESPACE",
    "release": "MAINSPRING_RELEASE",
    "watch_namespaces": "MAINSPRING_WATCH_NAMESPACES",  # comma-separated; empty: all
    "artifacts_uri": "MAINSPRING_ARTIFACTS_URI",  # the user's own store; empty: the embedded one
    "store_endpoint": "MAINSPRING_STORE_ENDPOINT",  # http://<service>.<namespace>.svc:7070
    "store_admin_endpoint": "MAINSPRING_STORE_ADMIN_ENDPOINT",  # http://<service>.<namespace>.svc:7071
    "store_root_secret": "MAINSPRING_STORE_ROOT_SECRET",  # in the operator's namespace; made when missing
    "image_pull_policy": "MAINSPRING_IMAGE_PULL_POLICY",
    "image_pull_secrets": "MAINSPRING_IMAGE_PULL_SECRETS",  # comma-separated
    "pod_env": "MAINSPRING_POD_ENV",  # JSON object: proxies and the like, for every pod we make
    "ca_bundle": "MAINSPRING_CA_BUNDLE",  # PEM text
    "priority_class": "MAINSPRING_PRIORITY_CLASS",
    "monitoring_namespaces": "MAINSPRING_MONITORING_NAMESPACES",  # comma-separated
    "scrape_annotations": "MAINSPRING_SCRAPE_ANNOTATIONS",  # "true": serving pods say how Prometheus finds them
    "outgoing_hosts": "MAINSPRING_OUTGOING_HOSTS",  # comma-separated patterns; empty: all
    "service_account_annotations": "MAINSPRING_SERVICE_ACCOUNT_ANNOTATIONS",  # JSON object, on every ServiceAccount we make
}


class SettingsError(ValueError):
    """A setting is missing or malformed; the message names the variable."""


@dataclass(frozen=True)
class Settings:
    runtime_image: str
    jobs_image: str
    namespace: str
    release: str = "mainspring"
    watch_namespaces: tuple[str, ...] = ()
    artifacts_uri: str = ""
    store_endpoint: str = ""
    store_admin_endpoint: str = ""
    store_root_secret: str = "mainspring-store"
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    pod_env: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str = ""
    priority_class: str = ""
    monitoring_namespaces: tuple[str, ...] = ()
    scrape_annotations: bool = False
    outgoing_hosts: tuple[str, ...] = ()
    service_account_annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def embedded_store(self) -> bool:
        return not self.artifacts_uri

    def artifact_root(self, namespace: str) -> str:
        """Where the artifacts of a namespace live, without a trailing slash."""
        if self.embedded_store:
            return f"s3://{bucket_name(namespace)}/{namespace}"
        return f"{self.artifacts_uri.rstrip('/')}/{namespace}"


def bucket_name(namespace: str) -> str:
    """The namespace's bucket in the embedded store: `ns-` makes any namespace (1 to 60 letters) a legal bucket name."""
    return f"ns-{namespace}"[:63]


def from_env(env: Mapping[str, str]) -> Settings:
    values: dict[str, Any] = {}
    for name, variable in SETTINGS_ENV.items():
        raw = env.get(variable, "")
        if raw:
            values[name] = _parse(name, variable, raw)
    missing = [SETTINGS_ENV[n] for n in ("runtime_image", "jobs_image", "namespace") if n not in values]
    if missing:
        raise SettingsError(f"set {', '.join(missing)}; the Helm chart does")
    settings = Settings(**values)
    if settings.embedded_store and not (settings.store_endpoint and settings.store_admin_endpoint):
        raise SettingsError(
            "set MAINSPRING_ARTIFACTS_URI, or both MAINSPRING_STORE_ENDPOINT and MAINSPRING_STORE_ADMIN_ENDPOINT"
        )
    return settings


def _parse(name: str, variable: str, raw: str) -> Any:
    if name in {"watch_namespaces", "image_pull_secrets", "monitoring_namespaces", "outgoing_hosts"}:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if name in {"pod_env", "service_account_annotations"}:
        return _parse_map(variable, raw)
    if name == "scrape_annotations":
        return raw == "true"
    return raw


def _parse_map(variable: str, raw: str) -> dict[str, str]:
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{variable} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SettingsError(f"{variable} must be a JSON object")
    return {str(key): str(item) for key, item in value.items()}
