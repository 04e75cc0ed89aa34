"""Natural batching: whatever queued while the last prediction ran is the next batch.

There is no timer and no waiting for company: an idle server predicts one request at once, a busy one finds a batch ready
when it is done. All state lives on the event loop; only `predict` runs in the one prediction thread, so a slow model
never delays a health probe, and its exceptions arrive through the thread's future whatever their type.

A batch that fails is taken apart and its requests are tried alone, so a request can fail only by itself.

Requests have deadlines, and an answer that comes late is work for nobody. While there is time for a full batch, deadlines
do not matter. When there is not, a batch takes only requests that will be answered in time by the `Pace` of the last
calls, and those who will not be are passed over until their time is up: a queue that is served strictly in order under
overload answers everybody just too late. If nobody can be answered in time the oldest go all the same, since the pace may
have changed and only a call can tell.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from mainspring_runtime.serve.errors import GONE_STATUS, RequestError, unavailable
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.pace import Pace
from mainspring_runtime.serve.predicting import Answer, Outputs, Predict, Predicted
from mainspring_runtime.serve.settings import Limits
from mainspring_runtime.serve.tables import Table

Clock = Callable[[], float]  # seconds, monotonic
MayJoin = Callable[["Waiting", "Waiting", int], bool]  # the first of a batch, one more, and the rows with it
# With whether each request got its answer, and a user asked it.
Observe = Callable[[Predicted, Sequence[bool]], None]


GONE = RequestError(GONE_STATUS, "the caller went away")  # nobody reads it, but it is counted


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of an answer: what the predictor raised for this request alone, or that its time was up."""

    error: BaseException


@dataclass(eq=False, slots=True)
class Waiting:
    """A request in the queue or in the running batch; `since` is a time of the batcher's clock."""

    table: Table
    outputs: Outputs
    answer: asyncio.Future[Answer | Failed]
    since: float
    alone: bool = False  # it was in a batch that failed; such requests are always at the front of the queue


def _ignore(predicted: Predicted, answered: Sequence[bool]) -> None:
    """For a server that counts nothing."""


class Batcher:
    """The queue in front of one model. Use from the event loop only."""

    def __init__(
        self,
        predict: Predict,
        executor: Executor,
        limits: Limits,
        tallies: Tallies,
        clock: Clock = time.perf_counter,
        observe: Observe = _ignore,
    ) -> None:
        """`observe` is told of every call that succeeded, once its answers are on their way."""
        self._predict = predict
        self._executor = executor
        self._limits = limits
        self._stuck_seconds = limits.stuck_seconds
        self._tallies = tallies
        self._clock = clock
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Waiting] = deque()
        self._queued_rows = 0
        self._gone = 0  # requests left by their callers since the queue was last cleared of them
        self._running: Sequence[Waiting] = ()
        self._running_rows = 0
        self._started = 0.0  # when the running call began
        self._pace = Pace()
        self._start_scheduled = False
        self._deadline: asyncio.TimerHandle | None = None

    def uncounted(self) -> Batcher:
        """Another queue in front of the same model, of which nobody is told. The two must not be used at the same time."""
        return Batcher(self._predict, self._executor, self._limits, Tallies(), self._clock)

    def submit(self, table: Table, outputs: Outputs) -> asyncio.Future[Answer | Failed]:
        """Queue a table. The future never raises: a prediction may fail with any type of exception, so that is a value.

        Raises `RequestError` 503 when the queue is full, or when a prediction does not end.
        """
        if self._is_full(table.rows):
            message = (
                f"the queue is full ({len(self._queue)} requests, {self._queued_rows} rows); retry, or add replicas"
            )
            raise unavailable(message, self._pace.expect(self._queued_rows))
        now = self._clock()
        if self._running and now - self._started > self._stuck_seconds:
            raise unavailable(self.stuck() or "")
        waiting = Waiting(table, outputs, self._loop.create_future(), now)
        self._queue.append(waiting)
        self._queued_rows += table.rows
        self._schedule_start()
        if self._deadline is None:
            self._watch_deadline(waiting.since)
        return waiting.answer

    def leave(self, answer: asyncio.Future[Answer | Failed]) -> None:
        """Whoever waited for this answer went away; its row leaves the queue, when it is still there."""
        if not answer.done():
            answer.set_result(Failed(GONE))
            self._gone += 1

    def stuck(self) -> str | None:
        """What to say of a prediction that has been running for so long that it may never end; None when all is well."""
        busy = self._clock() - self._started
        if not self._running or busy <= self._stuck_seconds:
            return None
        return f"a prediction of {self._running_rows} rows has been running for {busy:.0f} s"

    def _is_full(self, rows: int) -> bool:
        if not self._exceeds(rows):
            return False
        self._clear_gone()
        return self._exceeds(rows)

    def _clear_gone(self) -> None:
        """Those who went away hold no places. Only when places are needed: otherwise the next batch skips them."""
        if self._gone:
            self._gone = 0
            self._queue = deque(waiting for waiting in self._queue if not waiting.answer.done())
            self._queued_rows = _rows(self._queue)

    def _exceeds(self, rows: int) -> bool:
        full = self._queued_rows + rows > self._limits.queue_rows
        return len(self._queue) >= self._limits.queue_requests or (full and bool(self._queue))

    def _schedule_start(self) -> None:
        # Not at once: requests that arrived in the same turn of the loop are decoded first and share the batch.
        if not self._running and not self._start_scheduled:
            self._start_scheduled = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._start_scheduled = False
        batch = self._next_batch()
        if not batch:
            return
        self._running = batch
        self._started = now = self._clock()
        for waiting in batch:
            self._tallies.queue_seconds.observe(now - waiting.since)
        self._running_rows = rows = _rows(batch)
        self._tallies.batch_rows.observe(rows)
        done = self._executor.submit(self._predict, [waiting.table for waiting in batch], batch[0].outputs)
        done.add_done_callback(self._on_done)

    def _next_batch(self) -> list[Waiting]:
        """The oldest request that is to be answered, with those behind it that want the same outputs and still fit."""
        queue, now = self._queue, self._clock()
        while queue and self._is_over(queue[0], now):
            self._queued_rows -= queue.popleft().table.rows
        if not queue:
            return []
        oldest = queue[0]
        time_left = oldest.since + self._limits.request_seconds - now
        if self._pace.expect(self._limits.batch_rows) > time_left and not oldest.alone:
            return self._collect(self._in_time(now)) or self._collect(self._may_join)
        return self._collect(self._may_join)

    def _is_over(self, waiting: Waiting, now: float) -> bool:
        """It was answered, its caller went away, or its time is up."""
        if waiting.answer.done():
            return True
        if now - waiting.since < self._limits.request_seconds:
            return False
        waiting.answer.set_result(Failed(self._too_late()))
        return True

    def _too_late(self) -> RequestError:
        message = f"no answer within {self._limits.request_seconds:g} s"
        return unavailable(message, self._pace.expect(self._queued_rows))

    def _in_time(self, now: float) -> MayJoin:
        """As `_may_join`, but only who will be answered in time then, as the first of the batch will be."""
        limit = self._limits.request_seconds

        def may_join(first: Waiting, waiting: Waiting, together: int) -> bool:
            end = now + self._pace.expect(together)
            in_time = end <= first.since + limit and end <= waiting.since + limit
            return in_time and self._may_join(first, waiting, together)

        return may_join

    def _collect(self, may_join: MayJoin) -> list[Waiting]:
        """Takes from the queue; who may not join stays in its place."""
        batch: list[Waiting] = []
        passed: list[Waiting] = []
        rows = 0
        while self._queue and (not batch or self._may_grow(batch, rows)):
            waiting = self._queue.popleft()
            if waiting.answer.done():  # it timed out, or its caller went away
                self._queued_rows -= waiting.table.rows
            elif may_join(batch[0] if batch else waiting, waiting, rows + waiting.table.rows):
                batch.append(waiting)
                rows += waiting.table.rows
            else:
                passed.append(waiting)
        self._queue.extendleft(reversed(passed))
        self._queued_rows -= rows
        return batch

    def _may_grow(self, batch: Sequence[Waiting], rows: int) -> bool:
        return rows < self._limits.batch_rows and not batch[0].alone

    def _may_join(self, first: Waiting, waiting: Waiting, together: int) -> bool:
        """`together`: rows of the batch with it."""
        return first is waiting or (together <= self._limits.batch_rows and waiting.outputs == first.outputs)

    def _on_done(self, done: Future[Predicted]) -> None:
        self._loop.call_soon_threadsafe(self._finish, done)

    def _finish(self, done: Future[Predicted]) -> None:
        batch, self._running = self._running, ()
        error, answered = done.exception(), list[bool]()
        if error is not None:
            self._fail(batch, error)
        else:
            answered = _answer(batch, done.result())
            self._pace.learn(self._running_rows, self._clock() - self._started)
        if self._queue:
            self._start()
        if error is None:
            # Last, so that the next prediction already runs.
            self._observe(done.result(), answered)

    def _fail(self, batch: Sequence[Waiting], error: BaseException) -> None:
        if len(batch) > 1:
            self._take_apart(batch)
        elif not batch[0].answer.done():
            batch[0].answer.set_result(Failed(error))

    def _take_apart(self, batch: Sequence[Waiting]) -> None:
        for waiting in reversed(batch):
            waiting.alone = True
            self._queue.appendleft(waiting)
            self._queued_rows += waiting.table.rows

    def _watch_deadline(self, since: float) -> None:
        """One timer for the oldest request instead of one for each."""
        remaining = since + self._limits.request_seconds - self._clock()
        self._deadline = self._loop.call_later(max(remaining, 0.0), self._expire)

    def _expire(self) -> None:
        self._deadline = None
        due = self._clock() - self._limits.request_seconds
        pending = [waiting for waiting in (*self._running, *self._queue) if not waiting.answer.done()]
        for waiting in pending:
            if waiting.since <= due:
                waiting.answer.set_result(Failed(self._too_late()))
        if alive := [waiting.since for waiting in pending if waiting.since > due]:
            self._watch_deadline(min(alive))


def _rows(requests: Iterable[Waiting]) -> int:
    return sum(waiting.table.rows for waiting in requests)


def _answer(batch: Sequence[Waiting], predicted: Predicted) -> list[bool]:
    """Whether each request was still waiting for its answer, and is to be counted."""
    answered = [not waiting.answer.done() for waiting in batch]
    for waiting, answer, in_time in zip(batch, predicted.answers, answered, strict=True):
        if in_time:
            waiting.answer.set_result(answer)
    return [kept and not waiting.table.shadow for waiting, kept in zip(batch, answered, strict=True)]
