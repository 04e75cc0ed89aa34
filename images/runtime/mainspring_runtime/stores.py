"""Opening an object store by URL, and what its failures mean. The only place that knows about clouds."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, ObjectStore, S3Store

from mainspring_runtime.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from obstore.store import S3Config

# `timeout` covers a whole body, so it must allow for large files; a stalled connection is found by `read_timeout`.
CLIENT_OPTIONS = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "2h"}
RETRIES: dict[str, Any] = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=90),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
}
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_ACCOUNT = ("InvalidAccessKeyId", "XAdminUserNotFound")
# The answer of an S3 store is XML; the library passes it on as text only.
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*?)\.?</Message>")
_REFUSED = re.compile(r"status code: 40[13]\b")
SCHEMES = ("s3", "gs", "az", "file", "https", "http")


def open_store(url: str, *, create: bool = False) -> ObjectStore:
    """A store whose root is `url`: a bucket and prefix, a local directory (made when `create`) or a web address.

    Raises `PermanentError("InvalidUri")`, and `FileNotFoundError` for a local directory that is absent.
    """
    scheme, host, path = _split(url)
    if scheme == "file":
        if not create and not Path(path).is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such directory", path)
        return LocalStore(prefix=Path(path), mkdir=create)
    options: dict[str, Any] = {"client_options": _client_options(scheme), "retry_config": RETRIES}
    if scheme in ("https", "http"):
        return HTTPStore.from_url(url.rstrip("/"), **options)
    prefix = path.strip("/") or None
    if scheme == "s3":
        return S3Store(host, prefix=prefix, config=_s3_config(), **options)
    if scheme == "gs":
        return GCSStore(host, prefix=prefix, **options)
    return AzureStore(host, prefix=prefix, **options)


@contextmanager
def failures(url: str, store: str = "ArtifactStore") -> Iterator[None]:
    """Turn the errors of a store into `RetryableError`s whose reasons are `<store>Denied` and `<store>Unavailable`."""
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise RetryableError("DiskFull", f"no space left for {url}; give the pod more ephemeral storage") from error
        if is_denied(error):
            # In a pod both come from a Secret; which one, depends on what was asked for.
            secret = "spec.source.credentialsSecret" if store == "Source" else "the Secret mainspring-artifacts"
            message = f"the store refused access to {url}: {explanation(error)}; check the credentials in {secret}"
            raise RetryableError(f"{store}Denied", message) from error
        raise RetryableError(f"{store}Unavailable", f"{url} could not be reached: {explanation(error)}") from error


def is_absent(error: FileNotFoundError) -> bool:
    """Whether the object itself is missing, and not its bucket, or the account that asked (some stores answer 404)."""
    found = _CODE.search(str(error))
    return found is None or found[1] == "NoSuchKey"


def is_denied(error: BaseException) -> bool:
    """Whether other credentials would help."""
    found = _CODE.search(str(error))
    codes = (PermissionDeniedError, UnauthenticatedError)
    return (
        isinstance(error, codes) or bool(_REFUSED.search(str(error))) or (found is not None and found[1] in NO_ACCOUNT)
    )


def explanation(error: BaseException) -> str:
    """What the store says, without the nested debug output that the library appends."""
    code, message = _CODE.search(str(error)), _MESSAGE.search(str(error))
    if code:
        return f"{code[1]}: {message[1]}" if message else code[1]
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(": ")


def _split(url: str) -> tuple[str, str, str]:
    scheme, separator, rest = url.partition("://")
    host, _, path = rest.partition("/")
    if scheme not in SCHEMES or not separator or not (path if scheme == "file" else host):
        raise PermanentError(
            "InvalidUri", f"{url!r} is not s3://, gs://, az:// or https:// with a bucket or host, or file:///path"
        )
    # Keys of a bucket are taken as they are written; file: and https: are real URLs.
    return scheme, host, "/" + (unquote(path) if scheme == "file" else path)


def _client_options(scheme: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(CLIENT_OPTIONS)
    if scheme == "http" or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true" or _endpoint().startswith("http://"):
        options["allow_http"] = True
    if bundle := os.environ.get("SSL_CERT_FILE"):
        options["root_certificate"] = Path(bundle).read_bytes()
    return options


def _s3_config() -> S3Config:
    config: S3Config = {"region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"}
    if endpoint := _endpoint():
        config["endpoint"] = endpoint
    return config


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
