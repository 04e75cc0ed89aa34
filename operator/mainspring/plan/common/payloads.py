"""Where the payload log of a service is: written by its pods, read by whoever measures them."""

from __future__ import annotations

from mainspring.plan.common.settings import Settings


def log_uri(settings: Settings, namespace: str, service: str) -> str:
    return f"{settings.artifact_root(namespace)}/payloads/{service}"
