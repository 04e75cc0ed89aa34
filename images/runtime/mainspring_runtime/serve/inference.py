"""Port 8080: the REST endpoints of the Open Inference Protocol v2 and of v1, for one version of one model, and feedback.

A route is a whole path, since the names of the model and of its version are known from the start. A further protocol is
further routes with a codec of its own (`v1`, `v2`) in front of the same batcher.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

import msgspec

from mainspring import __version__
from mainspring_runtime.errors import JobError
from mainspring_runtime.serve import environment, http, v1, v2, wire
from mainspring_runtime.serve.batching import Failed
from mainspring_runtime.serve.errors import RequestError, bad_request, unavailable
from mainspring_runtime.serve.http import Handler, Request, Response, Route, Router
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.monitoring import feedback_request
from mainspring_runtime.serve.predicting import Answer
from mainspring_runtime.serve.served import Asked, ServedModel
from mainspring_runtime.serve.settings import Limits, Settings
from mainspring_runtime.serve.splitting.division import Note
from mainspring_runtime.serve.splitting.messages import tell_seconds
from mainspring_runtime.serve.splitting.splitting import Splitting
from mainspring_runtime.serve.splitting.wire import FORWARDED_HEADER, SHADOW_HEADER

logger = logging.getLogger(__name__)

LIVE = Response(200, b'{"live":true}')
READY = Response(200, b'{"ready":true}')
NOT_READY = Response(503, b'{"ready":false}')
EXTENSIONS = ["binary_tensor_data"]

Read = Callable[[ServedModel, Request, bytes], Asked]


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request that this server answers: since when, who is told of its answer, and whether it is a user's."""

    request: Request
    started: float
    note: Note | None
    counted: bool


class InferenceApp:
    """What port 8080 answers. `model` is None while it loads; `draining` is set once, on the way out."""

    def __init__(
        self, settings: Settings, limits: Limits, tallies: Tallies, splitting: Splitting | None = None
    ) -> None:
        self.model: ServedModel | None = None
        self.draining = False
        self._settings = settings
        self._limits = limits
        self._tallies = tallies
        self._splitting = splitting
        self.router = Router(
            self._make_routes(), f"this server has model {settings.model!r}, version {settings.version}"
        )

    @property
    def ready(self) -> bool:
        return self.model is not None and not self.draining and self.stuck is None

    @property
    def stuck(self) -> str | None:
        """What is said of a prediction that does not end; None when all is well."""
        return None if self.model is None else self.model.batcher.stuck()

    def _make_routes(self) -> dict[str, Route]:
        model = self._settings.model
        base = f"/v2/models/{model}"
        routes = {
            "/v2": Route("GET", self._server_metadata),
            "/v2/health/live": Route("GET", self._live),
            "/v2/health/ready": Route("GET", self._ready),
            "/v1/models": Route("GET", self._models),
            "/v2/models": Route("GET", self._models),
            f"/v1/models/{model}": Route("GET", self._model_ready),
            f"{base}/feedback": Route("POST", self._feedback, feedback_request.MAX_BYTES),
        }
        for path in (base, f"{base}/versions/{self._settings.version}"):
            routes[path] = Route("GET", self._model_metadata)
            routes[f"{path}/ready"] = Route("GET", self._model_ready)
        return routes | self._inference_routes(f"/v1/models/{model}:predict", base)

    def _inference_routes(self, v1_path: str, base: str) -> dict[str, Route]:
        """Who names a version gets that one; all others get what the split says."""
        path, named = f"{base}/infer", f"{base}/versions/{self._settings.version}/infer"
        return {
            v1_path: self._inference_route(partial(self._divide, self._read_v1, v1_path.encode())),
            path: self._inference_route(partial(self._divide, self._read_v2, path.encode()), binary=True),
            named: self._inference_route(partial(self._infer, self._read_v2), binary=True),
        }

    def _inference_route(self, handler: Handler, *, binary: bool = False) -> Route:
        return Route("POST", handler, self._limits.body_bytes, binary, self._count_refused, self._tallies.load)

    def _live(self, _request: Request) -> Response:
        """503 tells the kubelet to start the container anew, after a few of them."""
        stuck = self.stuck
        return LIVE if stuck is None else Response(503, wire.encode({"live": False, "reason": stuck}))

    def _ready(self, _request: Request) -> Response:
        return READY if self.ready else NOT_READY

    def _server_metadata(self, _request: Request) -> Response:
        return Response(200, wire.encode({"name": "mainspring", "version": __version__, "extensions": EXTENSIONS}))

    def _models(self, _request: Request) -> Response:
        return Response(200, wire.encode({"models": [self._settings.model]}))

    def _model_ready(self, _request: Request) -> Response:
        return Response(200 if self.ready else 503, wire.encode({"name": self._settings.model, "ready": self.ready}))

    def _model_metadata(self, _request: Request) -> Response:
        return Response(200, self._loaded().metadata)

    def _feedback(self, request: Request) -> Response:
        feedback = self._loaded().feedback
        if feedback is None:
            raise RequestError(404, f"this server takes no feedback, since {self._why_no_feedback()}")
        body = http.plain_body(request, feedback_request.MAX_BYTES)
        return feedback_request.count(feedback, feedback_request.decode(body))

    def _why_no_feedback(self) -> str:
        if self._settings.feedback_key is None:
            return f"{environment.FEEDBACK_KEY} is not set"
        return "its model does not predict one class or value a row, which a label could be compared with"

    def _loaded(self) -> ServedModel:
        if self.model is None:
            raise unavailable(f"model {self._settings.model!r} is still being loaded")
        return self.model

    def _read_v2(self, model: ServedModel, request: Request, body: bytes) -> Asked:
        return v2.read(model, body, request.headers.get(wire.BINARY_HEADER), self._limits.request_rows)

    def _read_v1(self, model: ServedModel, _request: Request, body: bytes) -> Asked:
        return v1.read(model, body, self._limits.request_rows)

    def _divide(self, read: Read, target: bytes, request: Request) -> Response | None:
        """Answer here, or let the candidate of a rollout answer. What was forwarded once stays where it is."""
        if FORWARDED_HEADER in request.headers:
            return self._infer_forwarded(read, request)
        if self._splitting is None or (division := self._splitting.division) is None:
            return self._infer(read, request)
        return division.answer(request, target, partial(self._infer, read, request))

    def _infer_forwarded(self, read: Read, request: Request) -> Response | None:
        if self._splitting is not None and SHADOW_HEADER in request.headers:
            return self._infer(partial(_read_copy, read), request, self._splitting.note_copy, counted=False)
        return self._infer(read, request, tell_seconds)

    def _infer(
        self, read: Read, request: Request, note: Note | None = None, *, counted: bool = True
    ) -> Response | None:
        """Put a request into the queue; `_finish` answers it."""
        call = Call(request, time.perf_counter(), note, counted)
        try:
            body = http.plain_body(request, self._limits.body_bytes)
            model = self._loaded()
            asked = self._marked(model, read(model, request, body), len(body))
            answer = model.batcher.submit(asked.table, asked.outputs)
        except RequestError as error:
            return self._counted(call, http.refusal(error))
        request.on_gone = partial(model.batcher.leave, answer)
        answer.add_done_callback(partial(self._finish, call, asked))
        return None

    def _marked(self, model: ServedModel, asked: Asked, size: int) -> Asked:
        """With a note for the payload log, if it shall have this request."""
        if asked.table.shadow:
            return asked
        self._tallies.coerced_values += asked.table.coerced
        if model.log is None or (mark := model.log.mark(asked.id, size)) is None:
            return asked
        return msgspec.structs.replace(asked, table=msgspec.structs.replace(asked.table, mark=mark))

    def _finish(self, call: Call, asked: Asked, done: asyncio.Future[Answer | Failed]) -> None:
        answer = done.result()
        response = http.refusal(explain(answer.error)) if isinstance(answer, Failed) else asked.write(answer)
        call.request.respond(self._counted(call, http.packed(call.request, response)))

    def _counted(self, call: Call, response: Response) -> Response:
        seconds = time.perf_counter() - call.started
        if call.counted:
            self._tallies.requests[response.status] += 1
            self._tallies.request_seconds.observe(seconds)
        return response if call.note is None else call.note(response, seconds)

    def _count_refused(self, status: int) -> None:
        """A request that never became complete, or was not what the route takes: it has no time."""
        self._tallies.requests[status] += 1


def _read_copy(read: Read, model: ServedModel, request: Request, body: bytes) -> Asked:
    asked = read(model, request, body)
    return msgspec.structs.replace(asked, table=msgspec.structs.replace(asked.table, shadow=True))


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
