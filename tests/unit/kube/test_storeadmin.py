"""Signing, against the examples that AWS publishes for Signature Version 4 of S3, and the calls to the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mainspring.kube import errors, storeadmin
from mainspring.kube.storeadmin import Credentials, StoreAdmin

# docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
WHEN = datetime(2013, 5, 24, tzinfo=UTC)
BUCKET = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("verb", "path", "query", "headers", "payload", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {},
            {"range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            {},
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET", "/", {"lifecycle": ""}, {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "GET",
            "/",
            {"prefix": "J", "max-keys": "2"},
            {},
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_that_aws_publishes(
    verb: str, path: str, query: dict[str, str], headers: dict[str, str], payload: bytes, signature: str
) -> None:
    signed = storeadmin.sign(verb, BUCKET + path, query, headers, payload, EXAMPLE, WHEN)
    assert signed["Authorization"].endswith(f"Signature={signature}")
    assert signed["x-amz-date"] == "20130524T000000Z"
    assert headers.items() <= signed.items()


def test_an_account_follows_from_the_root_key_and_the_namespace() -> None:
    root, other = Credentials("root", "secret"), Credentials("root", "another")
    assert storeadmin.derive(root, "lab") == storeadmin.derive(root, "lab")
    every = {storeadmin.derive(r, n).secret_key for r in (root, other) for n in ("lab", "team")}
    assert len(every) == 4
    assert {len(key) for key in every} == {40}


def test_a_key_is_never_shown() -> None:
    assert "secret" not in repr(Credentials("root", "secret"))


@dataclass
class FakeStore:
    """The admin API: answers by path, and what it was asked."""

    answers: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=root/")
        query = {**request.query, **({"owner": o} if (o := request.headers.get("x-vgw-owner")) else {})}
        self.asked.append((request.path, query, await request.text()))
        return web.Response(status=self.answers.get(request.path, 201), text="told")


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeStore, StoreAdmin]]:
    store, app = FakeStore(), web.Application()
    app.router.add_patch("/{path:.*}", store.answer)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        yield store, StoreAdmin(f"http://{server.host}:{server.port}/", Credentials("root", "secret"), session)
    await server.close()


ACCOUNT = Credentials("ns-lab", "key")


async def test_a_new_namespace_gets_an_account_and_then_a_bucket(fake: tuple[FakeStore, StoreAdmin]) -> None:
    store, admin = fake
    await admin.ensure_account(ACCOUNT, "ns-lab", WHEN)
    assert [(path, query) for path, query, _ in store.asked] == [
        ("/create-user", {}),
        ("/ns-lab/create", {"owner": "ns-lab"}),
    ]
    assert "<Access>ns-lab</Access><Secret>key</Secret><Role>user</Role>" in store.asked[0][2]


async def test_an_account_that_is_there_gets_this_very_key(fake: tuple[FakeStore, StoreAdmin]) -> None:
    store, admin = fake
    store.answers = {"/create-user": 409, "/ns-lab/create": 409}
    await admin.ensure_account(ACCOUNT, "ns-lab", WHEN)
    assert [path for path, _, _ in store.asked] == ["/create-user", "/update-user", "/ns-lab/create"]
    assert store.asked[1][1] == {"access": "ns-lab"}


async def test_a_refusal_is_told_and_can_be_tried_again(fake: tuple[FakeStore, StoreAdmin]) -> None:
    store, admin = fake
    store.answers = {"/create-user": 500}
    with pytest.raises(errors.Transient, match="refused /create-user: 500 told"):
        await admin.ensure_account(ACCOUNT, "ns-lab", WHEN)


async def test_a_store_that_is_not_there_can_be_tried_again() -> None:
    async with aiohttp.ClientSession() as session:
        admin = StoreAdmin("http://127.0.0.1:1", Credentials("root", "secret"), session)
        with pytest.raises(errors.Transient, match="does not answer"):
            await admin.ensure_account(ACCOUNT, "ns-lab", WHEN)
