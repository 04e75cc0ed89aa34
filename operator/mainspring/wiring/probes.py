"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
from aiohttp import web

PORT = 8080


async def serve(is_ready: Callable[[], bool], port: int = PORT) -> web.AppRunner:
    """Starts the server; the caller cleans the runner up."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="the cache is being filled")

    async def metrics(_: web.Request) -> web.Response:
        content_type = prometheus_client.CONTENT_TYPE_LATEST
        return web.Response(body=prometheus_client.generate_latest(), headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
