"""Everything counted about the rows of one model, and the rows that wait to be counted.

Binning costs about the same for one row as for a hundred, and most calls of the model have few rows. So what a call saw
is kept as it is (its arrays exist anyway, so nothing is copied) and binned together with the next ones: when there are
`HELD_ROWS`, when somebody reads, and at the latest after `HELD_SECONDS`. Binning never happens between a prediction and
its answer, and takes about half a millisecond at a time, however large a request was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.columns import Columns, Integers
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.predicting import Predicted, Results
from mainspring_runtime.serve.tables import Table, join

HELD_ROWS = 256
HELD_SECONDS = 1.0
CHUNK_ROWS = 512  # binned at once
MAX_HELD_ROWS = 20_000  # with more, requests have to wait for the binning


@dataclass(frozen=True)
class Bins:
    """What is counted of a model; without a profile that is `None`, and only rows are counted."""

    columns: Columns
    predictions: Predictions


class Held(msgspec.Struct, frozen=True, gc=False):
    """Rows of one call of the model that were answered and are not binned yet."""

    table: Table
    results: Results


class Counters:
    """The counts of one server. Use from the event loop only."""

    def __init__(self, bins: Bins | None) -> None:
        self._bins = bins
        self._loop = asyncio.get_running_loop()
        self._held: deque[Held] = deque()
        self._held_rows = 0
        self._rows = 0
        self._due: asyncio.Handle | None = None
        self._binning = False  # the next turn of it is scheduled
        predictions = bins.predictions if bins is not None else None
        self._prediction = _zeros(predictions.watched.bins if predictions and predictions.watched else None)
        self._predicted = _zeros(len(predictions.classes) if predictions and predictions.classes else None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What every call of the model must compute."""
        return () if self._bins is None else self._bins.predictions.outputs

    def observe(self, predicted: Predicted, answered: Sequence[bool]) -> None:
        """Take the rows of one call whose callers got their answers."""
        if self._bins is None:
            self._rows += sum(part.rows for part, kept in zip(predicted.parts, answered, strict=True) if kept)
            return
        table, results = predicted.table, predicted.results
        if False in answered:
            table, results = _only(predicted, answered)
        if table is not None:
            self._hold(table, results)

    def _hold(self, table: Table, results: Results) -> None:
        if table.rows <= CHUNK_ROWS:
            self._held.append(Held(table, results))
        else:
            self._held.extend(_chunks(table, results))
        self._held_rows += table.rows
        if self._held_rows >= HELD_ROWS and not self._binning:
            self._binning = True
            # Not in the next turn of the loop, in which the answers are written, but in the one after it.
            self._loop.call_soon(self._loop.call_soon, self._bin_in_turns)
        elif self._due is None:
            self._due = self._loop.call_later(HELD_SECONDS, self._on_due)

    def _bin_in_turns(self) -> None:
        self._binning = False
        if self._held_rows > MAX_HELD_ROWS:
            self.settle()
        elif self._held:
            self._bin_some()
        if self._held_rows >= HELD_ROWS:
            self._binning = True
            self._loop.call_soon(self._bin_in_turns)

    def _on_due(self) -> None:
        self._due = None
        self.settle()

    def settle(self) -> None:
        """Bin all that is held. Whoever reads calls this first."""
        while self._held:
            self._bin_some()

    def _bin_some(self) -> None:
        tables, calls, rows = [], [], 0
        while self._held and rows < HELD_ROWS:
            held = self._held.popleft()
            tables.append(held.table)
            calls.append(held.results)
            rows += held.table.rows
        self._held_rows -= rows
        self._rows += rows
        if self._bins is not None:
            self._bins.columns.count(join(tables))
            self._count_predictions(self._bins.predictions, calls)

    def _count_predictions(self, predictions: Predictions, calls: Sequence[Results]) -> None:
        results = {name: np.concatenate([call[name] for call in calls]) for name in predictions.outputs}
        if self._prediction is not None:
            _add(self._prediction, predictions.bins(results))
        if self._predicted is not None:
            _add(self._predicted, predictions.class_indexes(results))

    @property
    def rows(self) -> int:
        return self._rows

    def columns(self) -> list[wire.ColumnCounts]:
        return [] if self._bins is None else self._bins.columns.totals()

    def prediction(self) -> list[int] | None:
        """Rows by bin of the watched output."""
        return None if self._prediction is None else self._prediction.tolist()

    def predicted(self) -> list[int] | None:
        """Rows by predicted class."""
        return None if self._predicted is None else self._predicted.tolist()


def _chunks(table: Table, results: Results) -> Iterator[Held]:
    for start in range(0, table.rows, CHUNK_ROWS):
        rows = slice(start, min(start + CHUNK_ROWS, table.rows))
        part = Table(
            rows=rows.stop - rows.start,
            floats=table.floats[rows],
            others=tuple(values[rows] for values in table.others),
            coercions=() if start else table.coercions,
        )
        yield Held(part, {name: values[rows] for name, values in results.items()})


def _only(predicted: Predicted, answered: Sequence[bool]) -> tuple[Table | None, Results]:
    """Without the requests that got no answer: their time was up while the model was at work."""
    parts = [part for part, kept in zip(predicted.parts, answered, strict=True) if kept]
    if not parts:
        return None, {}
    rows = np.repeat(answered, [part.rows for part in predicted.parts])
    return join(parts), {name: np.asarray(values)[rows] for name, values in predicted.results.items()}


def _zeros(size: int | None) -> Integers | None:
    return None if size is None else np.zeros(size, dtype=np.int64)


def _add(counts: Integers, bins: Integers) -> None:
    # A label that is no known class has no bin.
    counts += np.bincount(bins[bins >= 0], minlength=len(counts))
