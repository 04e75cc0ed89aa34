"""Port 8081: what the cluster asks, never a caller of the model. Metrics for Prometheus, counts for the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mainspring_runtime.serve import http
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.http import Receive, Response, Route, Scope, Send
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.monitor import Monitor

OPEN_METRICS = "application/openmetrics-text"
END = b"# EOF\n"  # of an OpenMetrics exposition, once


class InternalApp:
    """The ASGI application of the internal port."""

    def __init__(self, registry: CollectorRegistry, monitor: Monitor) -> None:
        self._registry = registry
        self._monitor = monitor
        self._routes = {
            "/metrics": Route("GET", self._metrics),
            wire.SNAPSHOT_PATH: Route("GET", self._snapshot),
            wire.REFERENCE_PATH: Route("GET", self._reference),
        }
        self._what_is_here = f"this port has {', '.join(self._routes)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await http.find(self._routes, scope, self._what_is_here)(scope, receive)
        except RequestError as error:
            response = http.refusal(error)
        await http.respond(send, response, close=False)

    async def _snapshot(self, _scope: Scope, _receive: Receive) -> Response:
        return Response(200, self._monitor.snapshot())

    async def _reference(self, _scope: Scope, _receive: Receive) -> Response:
        return Response(200, self._monitor.reference())

    async def _metrics(self, scope: Scope, _receive: Receive) -> Response:
        """Prometheus text or OpenMetrics, whichever the scraper prefers."""
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        encode, content_type = choose_encoder(accept)
        parts = []
        # All at one moment, but written one by one: hundreds of series take milliseconds, and predictions have their turn.
        for family in list(self._registry.collect()):
            parts.append(encode(_Collected(family)).removesuffix(END))
            await asyncio.sleep(0)
        end = END if content_type.startswith(OPEN_METRICS) else b""
        return Response(200, b"".join(parts) + end, content_type=content_type.encode())


class _Collected(Collector):
    """A family that was collected already."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        yield self._family
