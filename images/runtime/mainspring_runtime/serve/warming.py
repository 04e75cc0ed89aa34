"""The first requests are answered before anybody is let in, so that no user pays for what happens only once.

Python and the numeric libraries import, compile, allocate and start threads when something is used for the first time:
loading proves the model on its sample, but what stands between a request and the model was not used yet. So requests
made of the version's own sample go through an application of its own, all but the connection: nothing of them is counted,
monitored or logged. What goes wrong here is written to the log and stops nothing, since loading has proved the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from mainspring_runtime.model.sample import Sample
from mainspring_runtime.model.signature import Signature
from mainspring_runtime.serve import wire
from mainspring_runtime.serve.http import Request, Response
from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.served import ServedModel
from mainspring_runtime.serve.settings import Limits, Settings

logger = logging.getLogger(__name__)

ONE_BY_ONE = 3  # requests of one row
TOGETHER = 16  # requests of one row that become one batch
MANY_ROWS = 100  # of one request


async def warm_up(settings: Settings, limits: Limits, model: ServedModel, signature: Signature, sample: Sample) -> None:
    """Returns when all have been answered, well or not."""
    app = InferenceApp(settings, limits, Tallies())
    app.model = replace(model, batcher=model.batcher.uncounted(), feedback=None, log=None)
    started = time.monotonic()
    one, many = (_body(signature, sample, rows) for rows in (1, min(MANY_ROWS, limits.request_rows)))
    together = min(TOGETHER, limits.queue_requests)
    statuses = [await _ask(app, settings, one) for _ in range(ONE_BY_ONE)]
    statuses += await asyncio.gather(*(_ask(app, settings, one) for _ in range(together)))
    statuses.append(await _ask(app, settings, many))
    refused = sum(status != 200 for status in statuses)
    logger.info(
        "warmed up in %.2f s: %d requests%s",
        time.monotonic() - started, len(statuses), f", of which {refused} were refused" if refused else "",
    )  # fmt: skip


def _body(signature: Signature, sample: Sample, rows: int) -> bytes:
    """The first rows of the sample as a request."""
    inputs = []
    for column in signature.inputs:
        values = [None if value == "" else value for value in sample.columns[column.name][:rows].tolist()]
        inputs.append({"name": column.name, "shape": [len(values)], "datatype": column.datatype, "data": values})
    return wire.encode({"inputs": inputs})


async def _ask(app: InferenceApp, settings: Settings, body: bytes) -> int:
    """The status of the answer."""
    route = app.router.find(b"POST", f"/v2/models/{settings.model}/infer".encode())
    asking = _Asking()
    response = route.handler(Request(asking, {}, body, route=route)) or await asking.answer
    return response.status


class _Asking:
    """In place of a connection."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def respond(self, _request: Request, response: Response) -> None:
        self.answer.set_result(response)
