"""A file on a web server as a source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from mainspring_runtime.data.reading import SourceFile
from mainspring_runtime.errors import PermanentError, RetryableError

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
NOT_FOUND = (404, 410)


@dataclass(frozen=True)
class WebSource:
    """One https URL. Its version is the ETag or the date that the server states, else the SHA-256 of the content."""

    uri: str
    downloads: Path

    def __post_init__(self) -> None:
        if urlsplit(self.uri).path.endswith("/"):
            raise PermanentError(
                "InvalidUri", f"{self.uri} ends in a slash, but a web server cannot list files; name one file"
            )

    def versions(self) -> list[list[str]]:
        return [[self.uri, self._stated_version or self._content]]

    def fetch(self) -> list[SourceFile]:
        _ = self._content
        return [SourceFile(self._path, self.uri)]

    @property
    def _path(self) -> Path:
        return self.downloads / ("00000" + "".join(Path(urlsplit(self.uri).path).suffixes[-2:]))

    @cached_property
    def _stated_version(self) -> str | None:
        with _failures(self.uri), _client() as client:
            response = client.head(self.uri)
        # Some servers answer HEAD with an error although GET works: the content decides then.
        return _version(response) if response.is_success else None

    @cached_property
    def _content(self) -> str:
        """Download the file; returns the hexadecimal SHA-256."""
        self.downloads.mkdir(parents=True, exist_ok=True)
        hasher = hashlib.sha256()
        with _failures(self.uri), _client() as client, client.stream("GET", self.uri) as response:
            _require_success(response, self.uri)
            with self._path.open("wb") as sink:
                for chunk in response.iter_raw():
                    hasher.update(chunk)
                    sink.write(chunk)
        return hasher.hexdigest()


def _client() -> httpx.Client:
    # Without `identity` a server may send gzip, and the bytes on disk would not be the file.
    return httpx.Client(timeout=TIMEOUT, follow_redirects=True, headers={"Accept-Encoding": "identity"})


def _version(response: httpx.Response) -> str | None:
    stated = response.headers.get("ETag") or response.headers.get("Last-Modified")
    return f"{stated} {response.headers.get('Content-Length', '')}" if stated else None


def _require_success(response: httpx.Response, uri: str) -> None:
    if response.url.scheme != "https":
        raise PermanentError("InvalidUri", f"{uri} redirects to {response.url}, which is not https")
    if response.status_code in NOT_FOUND:
        raise RetryableError(
            "SourceNotFound", f"there is nothing at {uri} (HTTP {response.status_code}); check spec.source.uri"
        )
    if not response.is_success:
        raise RetryableError("SourceUnavailable", f"{uri} answered HTTP {response.status_code}")


@contextmanager
def _failures(uri: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise RetryableError(
            "SourceUnavailable", f"{uri} could not be read: {error or type(error).__name__}"
        ) from error
