"""Lists in pages and watches, as they come over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from mainspring.kube import client, errors
from mainspring.kube.resources import BY_KIND

MODELS = BY_KIND["Model"]
SELECTOR = "a=b"
# etcd refuses what is larger.
LARGEST_BYTES = 1_500_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connect = Callable[[Handler], Any]


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """The client as the process makes it, connected to a server whose every answer is given by a handler."""

    @asynccontextmanager
    async def connected(handler: Handler) -> AsyncIterator[client.Client]:
        runner = web.ServerRunner(web.Server(handler))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        named = {"clusters": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}, "users": {}}
        named["contexts"] = {"cluster": "test", "user": "test"}
        content = {kind: [{"name": "test", kind.removesuffix("s"): value}] for kind, value in named.items()}
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump({**content, "current-context": "test"}))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        api = await client.connect()
        try:
            yield api
        finally:
            await api.close()
            await runner.cleanup()

    return connected


async def test_a_watch_takes_the_largest_object_that_there_can_be(connect: Connect) -> None:
    asked: list[dict[str, str]] = []
    event = {"type": "MODIFIED", "object": {"data": {"report.json": "x" * LARGEST_BYTES}}}

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return web.Response(text=f"{json.dumps(event)}\n{json.dumps(event)}\n")

    async with connect(answer) as api:
        seen = [each async for each in api.watch(MODELS, "lab", SELECTOR, "17")]
    assert seen == [event, event]
    wanted = {"watch": "true", "allowWatchBookmarks": "true", "labelSelector": SELECTOR, "resourceVersion": "17"}
    assert wanted.items() <= asked[0].items()


async def test_a_list_comes_in_pages_until_there_are_no_more(connect: Connect) -> None:
    asked: list[tuple[str, str | None]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, request.query.get("continue")))
        more = {"continue": f"page {len(asked)}"} if len(asked) < 3 else {}
        return web.json_response({"metadata": {"resourceVersion": "9", **more}, "items": [{"n": len(asked)}]})

    async with connect(answer) as api:
        pages = [page async for page in api.pages(MODELS, "", SELECTOR)]
    assert [page["items"][0]["n"] for page in pages] == [1, 2, 3]
    path = "/apis/mainspring.dev/v1alpha1/models"
    assert asked == [(path, None), (path, "page 1"), (path, "page 2")]


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [
        (410, '{"reason": "Expired", "message": "too old"}', errors.Gone),
        (500, "no", errors.Transient),
        (200, "no json\n", errors.Transient),
    ],
)
async def test_what_a_watch_that_fails_means(
    connect: Connect, code: int, body: str, error: type[errors.KubeError]
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body)

    async with connect(answer) as api:
        with pytest.raises(error):
            async for _ in api.watch(MODELS, "lab", "", "1"):
                pass
