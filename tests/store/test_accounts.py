"""The accounts of many namespaces in one store that runs as the chart says: none is ever taken for another."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from mainspring.kube import storeadmin
from mainspring.kube.storeadmin import Credentials, StoreAdmin
from tests.chart import rendering
from tests.cluster import config
from tests.store.server import S3, running

ROUNDS = 12
# Names of one length: their requests look alike to the byte.
NAMESPACES = [f"team-{number:02d}" for number in range(12)]
ROOT = Credentials("root", secrets.token_hex(20))
FILE = "models/manifest.json"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URLs of S3 and of the admin API."""
    with config.reserved_ports(2) as (s3, admin):
        yield from _store(tmp_path, s3, admin)


def _store(tmp_path: Path, s3: int, admin: int) -> Iterator[tuple[str, str]]:
    for directory in ("objects", "iam"):
        (tmp_path / directory).mkdir()
    told = {":7070": f"127.0.0.1:{s3}", ":7071": f"127.0.0.1:{admin}", "/data/": f"{tmp_path}/"}
    deployment = rendering.one(rendering.rendered(), "Deployment", "mainspring-store")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments = [_replaced(argument, told) for argument in container["args"]]
    server = S3(f"http://127.0.0.1:{s3}", ROOT.access_key, ROOT.secret_key, tmp_path)
    with running(server, arguments, tmp_path / "store.log"):
        yield server.url, f"http://127.0.0.1:{admin}"


def _replaced(argument: str, told: dict[str, str]) -> str:
    for old, new in told.items():
        argument = argument.replace(old, new)
    return argument


def _open(url: str, namespace: str, account: Credentials) -> S3Store:
    return S3Store(
        f"ns-{namespace}",
        endpoint=url,
        access_key_id=account.access_key,
        secret_access_key=account.secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


async def _read(url: str, namespace: str) -> str | None:
    """With a connection of its own, as every pod has; what went wrong."""
    try:
        answer = await obstore.get_async(_open(url, namespace, storeadmin.derive(ROOT, namespace)), FILE)
        return None if bytes(await answer.bytes_async()) == namespace.encode() else f"{namespace} read another's file"
    except BaseError as error:
        return f"{namespace}: {error}"


async def test_accounts_are_not_mixed_up_while_they_are_made_again(store: tuple[str, str]) -> None:
    url, admin_url = store
    async with aiohttp.ClientSession() as session:
        admin = StoreAdmin(admin_url, ROOT, session)

        async def ensure(namespace: str) -> None:
            await admin.ensure_account(storeadmin.derive(ROOT, namespace), f"ns-{namespace}", datetime.now(UTC))

        for namespace in NAMESPACES:
            await ensure(namespace)
            opened = _open(url, namespace, storeadmin.derive(ROOT, namespace))
            await obstore.put_async(opened, FILE, namespace.encode())
        troubles: list[str | None] = []
        for _ in range(ROUNDS):
            # As after each start of the operator, while pods are at work.
            again, *found = await asyncio.gather(
                asyncio.gather(*map(ensure, NAMESPACES)), *(_read(url, namespace) for namespace in NAMESPACES * 4)
            )
            assert len(again) == len(NAMESPACES)
            troubles += [trouble for trouble in found if trouble]
    assert not troubles, f"{len(troubles)} of {ROUNDS * len(NAMESPACES) * 4} reads failed: {troubles[0]}"


async def test_no_account_reaches_the_bucket_of_another(store: tuple[str, str]) -> None:
    url, admin_url = store
    async with aiohttp.ClientSession() as session:
        admin = StoreAdmin(admin_url, ROOT, session)
        for namespace in ("mine", "yours"):
            await admin.ensure_account(storeadmin.derive(ROOT, namespace), f"ns-{namespace}", datetime.now(UTC))
    await obstore.put_async(_open(url, "yours", storeadmin.derive(ROOT, "yours")), FILE, b"secret")
    stranger = _open(url, "yours", storeadmin.derive(ROOT, "mine"))
    for attempt in (
        obstore.get_async(stranger, FILE),
        obstore.put_async(stranger, "other", b""),
        obstore.delete_async(stranger, FILE),
        stranger.list_with_delimiter_async(),
    ):
        with pytest.raises(BaseError, match="AccessDenied"):
            await attempt
