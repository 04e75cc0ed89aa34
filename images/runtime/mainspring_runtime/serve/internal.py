"""Port 8081: what the cluster asks, never a caller of the model. Metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from mainspring_runtime.serve import http
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.http import Receive, Response, Route, Scope, Send


class InternalApp:
    """The ASGI application of the internal port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._routes = {"/metrics": Route("GET", self._metrics)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await http.find(self._routes, scope, "this port has /metrics")(scope, receive)
        except RequestError as error:
            response = http.refusal(error)
        await http.respond(send, response, close=False)

    async def _metrics(self, scope: Scope, _receive: Receive) -> Response:
        """Prometheus text or OpenMetrics, whichever the scraper prefers."""
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        encode, content_type = choose_encoder(accept)
        return Response(200, encode(self._registry), content_type=content_type.encode())
