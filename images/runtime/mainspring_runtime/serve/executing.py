"""Where a prediction runs: in the prediction thread, or at once when that is cheaper than waking the thread.

Handing a batch to another thread and back costs 100 µs or more on one core: two wake-ups and the interpreter's lock. A
linear model or a forest in ONNX Runtime answers a batch in less. So calls that are known to be short run on the event
loop, where nobody notices them; all others run in the thread, so that a long one never delays a health probe.

Only for ONNX Runtime, which computes and does nothing else. Code of users may wait for anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from mainspring_runtime.serve.batching import Clock
from mainspring_runtime.serve.predicting import Outputs, Predict, Predicted
from mainspring_runtime.serve.tables import Table

SHORT_SECONDS = 0.001
Kind = tuple[int, Outputs]  # bits of the number of rows, and what is wanted of them
WEIGHT = 0.125  # of the newest call in the average


class ShortCallsAtOnce(Executor):
    """Runs `predict(tables, outputs)`; which calls are short is learnt from those with as many rows, by powers of two, and the same outputs."""

    def __init__(self, thread: Executor, clock: Clock = time.thread_time) -> None:
        """The clock is that of the thread: while others use the core, a short call is short all the same."""
        self._thread = thread
        self._clock = clock
        self._seconds: dict[Kind, float] = {}  # running averages

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Like any executor; an exception of a call that ran at once is in its future, too."""
        tables, outputs = args
        kind = sum(table.rows for table in tables).bit_length(), outputs
        if self._seconds.get(kind, SHORT_SECONDS) >= SHORT_SECONDS:
            return self._thread.submit(self._timed, fn, tables, kind, **kwargs)
        done: Future[Predicted] = Future()
        with _Into(done):
            done.set_result(self._timed(fn, tables, kind))
        return done

    def _timed(self, predict: Predict, tables: Sequence[Table], kind: Kind) -> Predicted:
        started = self._clock()
        predicted = predict(tables, kind[1])
        seconds = self._clock() - started
        self._seconds[kind] = seconds + (1 - WEIGHT) * (self._seconds.get(kind, seconds) - seconds)
        return predicted


class _Into:
    """An exception of any type becomes the future's, as with any other executor."""

    def __init__(self, future: Future[Predicted]) -> None:
        self._future = future

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True
