"""The little that setting up a cluster needs of the Kubernetes API, over plain HTTPS."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError

TIMEOUT_SECONDS = 10.0
FIELD_MANAGER = "test-cluster"


class ApiError(ClusterError):
    """The API server refused a request."""


class Unreachable(ClusterError):
    """Nobody answered."""


@dataclass(frozen=True)
class Endpoint:
    """An HTTP server on this machine; with `pki`, HTTPS as the administrator."""

    host: str
    port: int
    pki: Path | None = None
    tls: bool = True

    def connect(self) -> http.client.HTTPConnection:
        """An unopened connection."""
        if not self.tls:
            return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        return http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_SECONDS, context=self._context())

    def _context(self) -> ssl.SSLContext:
        if self.pki is None:
            # A component's health page under a certificate that it made itself; nothing secret is sent.
            return ssl._create_unverified_context()
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        return context


def fetch(endpoint: Endpoint, method: str, path: str, body: str = "", content_type: str = "") -> tuple[int, str]:
    """One request: the status code and the text of the answer."""
    connection = endpoint.connect()
    try:
        headers = {"Content-Type": content_type} if content_type else {}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{endpoint.host}:{endpoint.port} does not answer: {error}") from error
    finally:
        connection.close()


def unhealthy(endpoint: Endpoint, path: str) -> str | None:
    """None when a health page says 200, else what it says."""
    try:
        status, text = fetch(endpoint, "GET", path)
    except Unreachable as error:
        return str(error)
    return None if status == 200 else f"{path} answers {status}: {text.strip()[-500:]}"


def get(endpoint: Endpoint, path: str) -> dict[str, Any]:
    """An object or a list of the API."""
    return _parsed("GET", path, *fetch(endpoint, "GET", path))


def apply(endpoint: Endpoint, path: str, manifest: dict[str, Any]) -> None:
    """Server-side apply of one object; `path` names the object."""
    target = f"{path}?fieldManager={FIELD_MANAGER}&force=true"
    answer = fetch(endpoint, "PATCH", target, json.dumps(manifest), "application/apply-patch+yaml")
    _parsed("PATCH", path, *answer)


def merge(endpoint: Endpoint, path: str, change: dict[str, Any]) -> None:
    """Merge-patch one object; a null removes a field."""
    answer = fetch(endpoint, "PATCH", path, json.dumps(change), "application/merge-patch+json")
    _parsed("PATCH", path, *answer)


def _parsed(method: str, path: str, status: int, text: str) -> dict[str, Any]:
    if status >= 300:
        raise ApiError(f"{method} {path} was answered with {status}: {text.strip()[-500:]}")
    parsed: dict[str, Any] = json.loads(text)
    return parsed
