"""What a model server's internal port answers, and what else may answer there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from mainspring.kube import servers
from mainspring.kube.servers import HttpServers, Silent, Unsuitable
from tests import monitored
from tests.unit.kube.receiver import Handler, serving

SNAPSHOT = monitored.snapshot(monitored.window(monitored.column("x", range(30_000)), rows=7))


@pytest.fixture
async def asked() -> AsyncIterator[HttpServers]:
    async with aiohttp.ClientSession() as session:
        yield HttpServers(session)


def saying(body: bytes, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    return answer


async def test_a_snapshot_that_comes_in_pieces_is_read_whole(asked: HttpServers) -> None:
    """Of a wide table, it does not come in one."""
    body = SNAPSHOT.model_dump_json(by_alias=True).encode()
    assert len(body) > 2**17

    async def pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for start in range(0, len(body), 10_000):
            await answer.write(body[start : start + 10_000])
            await asyncio.sleep(0)
        await answer.write_eof()
        return answer

    async with serving(pieces) as url:
        assert await asked.snapshot(url.removeprefix("http://")) == SNAPSHOT


@pytest.mark.parametrize(
    ("body", "status", "kind", "says"),
    [
        (b"", 404, Unsuitable, "has no /monitor/snapshot"),
        (b"", 503, Silent, "answers 503"),
        (b"{}", 200, Silent, "answers with something else"),
        (b"x" * 2000, 200, Silent, "more than 1000 bytes"),
    ],
)
async def test_other_answers_are_told(
    asked: HttpServers,
    body: bytes,
    status: int,
    kind: type[servers.ServerError],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "MAX_BYTES", 1000)
    async with serving(saying(body, status)) as url:
        with pytest.raises(kind, match=says):
            await asked.snapshot(url.removeprefix("http://"))


async def test_nobody_there_is_silent(asked: HttpServers) -> None:
    with pytest.raises(Silent, match="does not answer"):
        await asked.snapshot("127.0.0.1:1")
