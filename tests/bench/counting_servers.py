"""Model servers that only count: what a monitor reads of pods, for as many pods as there are loopback addresses.

They count fifty features of rows that come at a steady rate, so what they say grows as that of real ones does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from mainspring.api import monitoring
from mainspring.api.monitoring import ColumnCounts, FeedbackCounts, Reference, ReferencePrediction, Snapshot
from mainspring.plan.inferenceservice.builders import INTERNAL_PORT
from tests import monitored

FEATURES, BINS, PREDICTION_BINS = 50, 12, 20
ROWS_PER_SECOND = 40.0
REFERENCE_ROWS = 4800
LABELLED, ACCURACY = 0.5, 0.9


def reference() -> Reference:
    each = [REFERENCE_ROWS // BINS] * BINS
    columns = [monitored.numbers(f"feature_{n:02d}", list(range(BINS - 1)), each) for n in range(FEATURES)]
    rows = [REFERENCE_ROWS // PREDICTION_BINS] * PREDICTION_BINS
    prediction = ReferencePrediction(
        output="predict_proba",
        source="OutOfFold",
        rows=REFERENCE_ROWS,
        edges=[n / PREDICTION_BINS for n in range(1, PREDICTION_BINS)],
        counts=rows,
        positive="yes",
        threshold=0.5,
    )
    return monitored.reference(*columns, prediction=prediction, classes=["no", "yes"])


def snapshot(address: str, seconds: float) -> Snapshot:
    """Of the pod at this address, so long after it was started."""
    rows = int(seconds * ROWS_PER_SECOND)
    each = [rows // BINS] * BINS
    right = int(rows * LABELLED * ACCURACY / 2)
    wrong = int(rows * LABELLED * (1 - ACCURACY) / 2)
    return Snapshot(
        model="m",
        version="1",
        digest=monitored.DIGEST,
        epoch=address,
        started="2026-01-01T00:00:00Z",
        rows=rows,
        columns=[ColumnCounts(name=f"feature_{n:02d}", counts=each) for n in range(FEATURES)],
        prediction=[rows // PREDICTION_BINS] * PREDICTION_BINS,
        predicted=[rows // 2, rows // 2],
        feedback=FeedbackCounts(rows=2 * (right + wrong), confusion=[[right, wrong], [wrong, right]]),
    )


@contextmanager
def answering() -> Iterator[None]:
    """On the internal port of every loopback address, until the end of the block."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=_run, args=(loop, ready), daemon=True)
    thread.start()
    try:
        ready.wait()
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, ready: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    runner = web.AppRunner(_application())
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "0.0.0.0", INTERNAL_PORT).start())
    ready.set()
    loop.run_forever()
    loop.run_until_complete(runner.cleanup())
    loop.close()


def _application() -> web.Application:
    started, expected = time.monotonic(), reference().model_dump_json(by_alias=True, exclude_none=True)

    async def tell(request: web.Request) -> web.Response:
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        found = snapshot(address, time.monotonic() - started)
        return _json(found.model_dump_json(by_alias=True, exclude_none=True))

    async def refer(_: web.Request) -> web.Response:
        return _json(expected)

    application = web.Application()
    application.router.add_get(monitoring.SNAPSHOT_PATH, tell)
    application.router.add_get(monitoring.REFERENCE_PATH, refer)
    return application


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")
