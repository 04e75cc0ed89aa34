"""The log of one server: a bounded queue, and the thread that empties it into the artifact store.

The event loop only ever puts a reference into a queue. All else, from sorting out columns to the upload, is done by the
thread, which may hang in the store for as long as it likes: rows that are not in the store yet are counted in bytes, and
beyond `Limits.payload_bytes` further ones are dropped and counted. Each count is written by one thread alone.

Waking a thread costs more than everything else that is done for a request. So it sleeps while a part fills up, and is
woken by the first request of it, by the one that completes it, and at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from mainspring_runtime import parquet
from mainspring_runtime.errors import JobError
from mainspring_runtime.payloads import LONGEST_PART, MICROSECONDS, Source
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.tokens import Clock
from mainspring_runtime.serve.payloads.mark import Mark, Sampling
from mainspring_runtime.serve.payloads.rows import Entry, Rows
from mainspring_runtime.serve.predicting import Outputs, Predicted
from mainspring_runtime.serve.settings import PayloadLog
from mainspring_runtime.serve.tables import Table

PAUSE_SECONDS = (1.0, 60.0)  # after a part could not be written: at first, and at most
CLEANING_SECONDS = 3_600.0
LONGEST_MICROSECONDS = int(LONGEST_PART.total_seconds()) * MICROSECONDS
PROCESS_BYTES = 4
CELL_BYTES = 64  # of a value in memory, on the safe side: a short string takes about so much

logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Where parts go. Both raise `JobError`, and may take any time."""

    def put(self, path: str, content: bytes) -> None: ...
    def delete_before(self, moment: int) -> int: ...


class Log:
    """Use from the event loop only; `start` begins the thread."""

    def __init__(
        self, settings: PayloadLog, source: Source, rows: Rows, sink: Sink, limit_bytes: int, clock: Clock = time.time
    ) -> None:
        self._settings = settings
        self._rows = rows
        self._sampling = Sampling(settings.sample_rate)
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._queue: deque[Entry] = deque()
        self._taken_bytes = 0
        self._rows_since = 0  # the thread was woken
        self._dropped = 0
        self._done = asyncio.Event()
        self._writer = Writer(settings, source, rows, sink, self._queue, clock)
        self._thread = threading.Thread(target=self._writer.run, name="payload-log", daemon=True)

    @property
    def outputs(self) -> Outputs:
        """What every call of the model must compute."""
        return self._rows.outputs

    def start(self) -> None:
        self._writer.on_end = partial(_call, asyncio.get_running_loop(), self._done.set)
        self._thread.start()

    def mark(self, request: str | None, size: int) -> Mark | None:
        """Of a request that shall be logged once it was answered; `size` is that of its body in bytes."""
        return self._sampling.mark(request, size)

    def observe(self, predicted: Predicted, answered: Sequence[bool]) -> None:
        """Take the rows of one call whose requests are marked and got their answers."""
        start = 0
        for part, kept in zip(predicted.parts, answered, strict=True):
            if part.mark is not None and kept:
                self._take(part, part.mark, predicted, start)
            start += part.rows

    def _take(self, part: Table, mark: Mark, predicted: Predicted, start: int) -> None:
        size = size_of(part, mark)
        if self._taken_bytes - self._writer.released_bytes + size > self._limit_bytes:
            self._dropped += part.rows
            return
        self._taken_bytes += size
        rows = slice(start, start + part.rows)
        # Copies: a view would keep the results of the whole call.
        results = {name: predicted.results[name][rows].copy() for name in self.outputs}
        self._queue.append(Entry(mark, int(self._clock() * MICROSECONDS), part, results))
        self._rows_since += part.rows
        if len(self._queue) == 1 or self._rows_since >= self._settings.part_rows:
            self._rows_since = 0
            self._writer.wake.set()

    def counts(self) -> wire.PayloadCounts:
        found = self._writer.counts
        return msgspec.structs.replace(found, dropped=found.dropped + self._dropped)

    async def close(self, seconds: float) -> bool:
        """Write what is there. False when that takes longer, and the thread is still at it."""
        self._writer.closing.set()
        self._writer.wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._done.wait()
        if not self._done.is_set():
            logger.warning("the last part of the payload log was not written within %g s", seconds)
        return self._done.is_set()


def size_of(table: Table, mark: Mark) -> int:
    """Bytes that the request holds in memory, at most about so many."""
    return mark.size + table.floats.nbytes + CELL_BYTES * table.rows * (len(table.others) + 1)


class Writer:
    """What the thread does. `released_bytes` only grows, so that it can be read without a lock."""

    def __init__(
        self,
        settings: PayloadLog,
        source: Source,
        rows: Rows,
        sink: Sink,
        queue: deque[Entry],
        clock: Clock,
    ) -> None:
        self.counts = wire.PayloadCounts()
        self.released_bytes = 0
        self.closing = threading.Event()
        self.wake = threading.Event()
        self.on_end: Callable[[], None] = _nothing
        self._settings = settings
        self._source = source
        self._rows = rows
        self._sink = sink
        self._queue = queue
        self._clock = clock
        self._process = os.urandom(PROCESS_BYTES).hex()
        self._part: list[Entry] = []
        self._part_rows = 0
        self._due = 0.0  # of the part, and of cleaning
        self._cleaning_due = 0.0

    def run(self) -> None:
        """Until it is closed."""
        while self._step():
            pass
        self.on_end()

    def _step(self) -> bool:
        """All that waits, and what is due at this moment. False at the end."""
        self.wake.wait(max(self._wait(), 0.0))
        # First, so that what comes from now on wakes it again.
        self.wake.clear()
        ended = self.closing.is_set()
        while self._queue:
            entry = self._queue.popleft()
            # After a store was away for long. Readers find a part by the date of its first row.
            if self._part and entry.time - self._part[0].time >= LONGEST_MICROSECONDS:
                self._write()
            self._add(entry)
            if self._part_rows >= self._settings.part_rows:
                self._write()
        if self._part and (ended or self._clock() >= self._due):
            self._write()
        if not ended and self._clock() >= self._cleaning_due:
            self._clean()
        return not ended

    def _wait(self) -> float:
        due = min(self._due, self._cleaning_due) if self._part else self._cleaning_due
        return due - self._clock()

    def _add(self, entry: Entry) -> None:
        if not self._part:
            self._due = self._clock() + self._settings.part_seconds
        self._part.append(entry)
        self._part_rows += entry.rows

    def _write(self) -> None:
        """Tries until it is written; once closing, for the last time."""
        entries, rows = self._part, self._part_rows
        self._part, self._part_rows = [], 0
        times = [entry.time for entry in entries]
        path = self._source.path(min(times), max(times), self._process, self.counts.parts + 1)
        if self._put(path, parquet.encode(self._rows.columns(entries))):
            self.counts.parts += 1
            self.counts.written += rows
        else:
            self.counts.dropped += rows
        self.released_bytes += sum(size_of(entry.table, entry.mark) for entry in entries)

    def _put(self, path: str, content: bytes) -> bool:
        pause, longest = PAUSE_SECONDS
        while True:
            last = self.closing.is_set()
            try:
                self._sink.put(path, content)
            except JobError as error:
                self.counts.failures += 1
                logger.warning("a part of the payload log was not written: %s", error.message)
                if last:
                    return False
                self.closing.wait(pause)
                pause = min(2 * pause, longest)
            else:
                return True

    def _clean(self) -> None:
        self._cleaning_due = self._clock() + CLEANING_SECONDS
        try:
            gone = self._sink.delete_before(int((self._clock() - self._settings.keep_seconds) * MICROSECONDS))
        except JobError as error:
            logger.warning("old parts of the payload log were not deleted: %s", error.message)
        else:
            logger.info("deleted %d parts of the payload log that were too old", gone)


def _nothing() -> None:
    """Nobody waits for the end."""


def _call(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: who waited has given up
        loop.call_soon_threadsafe(action)
