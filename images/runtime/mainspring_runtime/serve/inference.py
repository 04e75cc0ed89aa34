"""Port 8080: the REST endpoints of the Open Inference Protocol v2, for one version of one model, and feedback on it.

A route is a whole path, since the names of the model and of its version are known from the start. A further protocol is
further routes with their own codec in front of the same batcher.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from mainspring import __version__
from mainspring_runtime.errors import JobError
from mainspring_runtime.serve import environment, http, tables, wire
from mainspring_runtime.serve.batching import Batcher, Failed
from mainspring_runtime.serve.errors import RequestError, bad_request, closest, unavailable
from mainspring_runtime.serve.http import Receive, Response, Route, Scope, Send
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.monitoring import feedback_request
from mainspring_runtime.serve.monitoring.feedback import Feedback
from mainspring_runtime.serve.payloads.log import Log
from mainspring_runtime.serve.predicting import Outputs
from mainspring_runtime.serve.settings import Limits, Settings
from mainspring_runtime.serve.tables import Schema

logger = logging.getLogger(__name__)

LIVE = Response(200, b'{"live":true}')
READY = Response(200, b'{"ready":true}')
NOT_READY = Response(503, b'{"ready":false}')


@dataclass(frozen=True)
class ServedModel:
    """A loaded model and everything that was prepared for answering quickly."""

    schema: Schema
    default_outputs: Outputs
    outputs: frozenset[str]
    batcher: Batcher
    metadata: bytes
    feedback: Feedback | None = None
    log: Log | None = None


class InferenceApp:
    """The ASGI application. `model` is None while it loads; `draining` is set once, on the way out."""

    def __init__(self, settings: Settings, limits: Limits, tallies: Tallies) -> None:
        self.model: ServedModel | None = None
        self.draining = False
        self._settings = settings
        self._limits = limits
        self._tallies = tallies
        self._routes = self._make_routes()
        self._what_is_here = f"this server has model {settings.model!r}, version {settings.version}"

    @property
    def ready(self) -> bool:
        return self.model is not None and not self.draining

    def _make_routes(self) -> dict[str, Route]:
        base = f"/v2/models/{self._settings.model}"
        routes = {
            "/v2": Route("GET", self._server_metadata),
            "/v2/health/live": Route("GET", self._live),
            "/v2/health/ready": Route("GET", self._ready),
        }
        for path in (base, f"{base}/versions/{self._settings.version}"):
            routes[path] = Route("GET", self._model_metadata)
            routes[f"{path}/ready"] = Route("GET", self._model_ready)
            routes[f"{path}/infer"] = Route("POST", self._infer)
        routes[f"{base}/feedback"] = Route("POST", self._feedback)
        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await http.find(self._routes, scope, self._what_is_here)(scope, receive)
        except RequestError as error:
            response = http.refusal(error)
        except http.Disconnected:
            return
        await http.respond(send, response, close=self.draining)

    async def _live(self, _scope: Scope, _receive: Receive) -> Response:
        return LIVE

    async def _ready(self, _scope: Scope, _receive: Receive) -> Response:
        return READY if self.ready else NOT_READY

    async def _server_metadata(self, _scope: Scope, _receive: Receive) -> Response:
        return Response(200, wire.encode({"name": "mainspring", "version": __version__, "extensions": []}))

    async def _model_ready(self, _scope: Scope, _receive: Receive) -> Response:
        return Response(200 if self.ready else 503, wire.encode({"name": self._settings.model, "ready": self.ready}))

    async def _model_metadata(self, _scope: Scope, _receive: Receive) -> Response:
        return Response(200, self._loaded().metadata)

    async def _feedback(self, scope: Scope, receive: Receive) -> Response:
        feedback = self._loaded().feedback
        if feedback is None:
            raise RequestError(404, f"this server takes no feedback, since {self._why_no_feedback()}")
        body = await http.read_json(scope, receive, feedback_request.MAX_BYTES)
        return feedback_request.count(feedback, feedback_request.decode(body))

    def _why_no_feedback(self) -> str:
        if self._settings.feedback_key is None:
            return f"{environment.FEEDBACK_KEY} is not set"
        return "its model does not predict one class or value a row, which a label could be compared with"

    def _loaded(self) -> ServedModel:
        if self.model is None:
            raise unavailable(f"model {self._settings.model!r} is still being loaded")
        return self.model

    async def _infer(self, scope: Scope, receive: Receive) -> Response:
        """Count and time what `_answer` does. A request that never became complete has no time."""
        started: float | None = None
        try:
            body = await http.read_json(scope, receive, self._limits.body_bytes)
            started = time.perf_counter()
            response = await self._answer(body)
        except RequestError as error:
            response = http.refusal(error)
        self._tallies.requests[response.status] += 1
        if started is not None:
            self._tallies.request_seconds.observe(time.perf_counter() - started)
        return response

    async def _answer(self, body: bytes) -> Response:
        model = self._loaded()
        request = wire.decode(body)
        outputs = choose_outputs(model, request.outputs)
        table = tables.build(model.schema, request.inputs, self._limits.request_rows)
        self._tallies.coerced_values += table.coerced
        if model.log is not None and (mark := model.log.mark(request.id, len(body))) is not None:
            table = msgspec.structs.replace(table, mark=mark)
        answer = await model.batcher.submit(table, outputs)
        if isinstance(answer, Failed):
            raise explain(answer.error)
        return Response(
            200, wire.encode(wire.InferResponse(self._settings.model, self._settings.version, answer, request.id))
        )


def choose_outputs(model: ServedModel, wanted: Sequence[wire.RequestOutput] | None) -> Outputs:
    """The names that were asked for, each once; without any, the model's default."""
    if not wanted:
        return model.default_outputs
    for output in wanted:
        if output.name not in model.outputs:
            known = ", ".join(sorted(model.outputs))
            raise bad_request(
                f"unknown output {output.name!r}{closest(output.name, model.outputs)}; this model has {known}"
            )
    return tuple(dict.fromkeys(output.name for output in wanted))


def explain(error: BaseException) -> RequestError:
    """A failed prediction, for the caller. Estimators say with `ValueError` that they cannot take these values."""
    match error:
        case RequestError():
            return error
        case JobError() | ValueError():
            return bad_request(f"the model refused the input: {error}")
        case _:
            logger.error("prediction failed", exc_info=error)
            return RequestError(
                500, f"the prediction failed with {type(error).__name__}; the server's log has the details"
            )
