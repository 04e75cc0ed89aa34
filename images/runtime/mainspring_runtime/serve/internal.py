"""Port 8081: what the cluster asks, never a caller of the model. Metrics for Prometheus, counts for the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.load import LOAD_PATH, Load
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.splitting.splitting import Splitting
from mainspring_runtime.serve.splitting.wire import SNAPSHOT_PATH as SPLIT_PATH

OPEN_METRICS = "application/openmetrics-text"
END = b"# EOF\n"  # of an OpenMetrics exposition, once


class InternalApp:
    """What the internal port answers."""

    def __init__(self, registry: CollectorRegistry, monitor: Monitor, splitting: Splitting, load: Load) -> None:
        self._registry = registry
        self._monitor = monitor
        self._splitting = splitting
        self._load = load
        self._writing: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly
        routes = {
            "/metrics": Route("GET", self._metrics),
            wire.SNAPSHOT_PATH: Route("GET", self._snapshot),
            wire.REFERENCE_PATH: Route("GET", self._reference),
            SPLIT_PATH: Route("GET", self._split),
            LOAD_PATH: Route("GET", self._tell_load),
        }
        self.router = Router(routes, f"this port has {', '.join(routes)}")

    def _snapshot(self, _request: Request) -> Response:
        return Response(200, self._monitor.snapshot())

    def _reference(self, _request: Request) -> Response:
        return Response(200, self._monitor.reference())

    def _split(self, _request: Request) -> Response:
        return Response(200, self._splitting.snapshot())

    def _tell_load(self, _request: Request) -> Response:
        return Response(200, msgspec.json.encode(self._load.snapshot()))

    def _metrics(self, request: Request) -> None:
        task = asyncio.create_task(self._write_metrics(request))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_metrics(self, request: Request) -> None:
        """Prometheus text or OpenMetrics, whichever the scraper prefers."""
        encode, content_type = choose_encoder(request.headers.get(b"accept", b"").decode("latin-1"))
        parts = []
        # All at one moment, but written one by one: hundreds of series take milliseconds, and predictions have their turn.
        for family in list(self._registry.collect()):
            parts.append(encode(_Collected(family)).removesuffix(END))
            await asyncio.sleep(0)
        end = END if content_type.startswith(OPEN_METRICS) else b""
        request.respond(Response(200, b"".join(parts) + end, content_type=content_type.encode()))


class _Collected(Collector):
    """A family that was collected already."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        yield self._family
