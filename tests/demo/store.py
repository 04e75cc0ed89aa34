"""Reaching the artifact store from outside the cluster, with a namespace's own credentials, as a person would."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.store import S3Store

from tests.demo import release
from tests.demo.forward import port_forward

VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ALLOW_HTTP", "AWS_ENDPOINT_URL")


@contextmanager
def access(space: str) -> Iterator[None]:
    """The environment by which S3 clients find the store and the credentials, for the time of the block."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    with port_forward(release.NAMESPACE, f"service/{release.RELEASE}-store", 7070) as url:
        os.environ.update(credentials(space) | {"AWS_ENDPOINT_URL": url})
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def credentials(space: str) -> dict[str, str]:
    secret = json.loads(release.kubectl("get", "secret", "mainspring-artifacts", "-n", space, "-o", "json"))
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def put(space: str, key: str, content: bytes) -> None:
    """An object in the namespace's bucket."""
    with access(space):
        bucket(space).put(key, content)


def bucket(space: str) -> S3Store:
    url, region = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]
    return S3Store(f"ns-{space}", endpoint=url, region=region, client_options={"allow_http": True})
