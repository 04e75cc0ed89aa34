"""When rows are binned, and which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mainspring_runtime.serve import tables
from mainspring_runtime.serve.monitoring import counters as counting
from mainspring_runtime.serve.monitoring.columns import Columns
from mainspring_runtime.serve.monitoring.counters import CHUNK_ROWS, HELD_ROWS, MAX_HELD_ROWS, Bins, Counters
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.monitoring.profile import Feature
from mainspring_runtime.serve.predicting import Predicted
from mainspring_runtime.serve.tables import Table
from tests.unit.runtime.serve.fakes import NUMBERS

FEATURE = Feature("radius", "Float", {"train": 0}, {"train": [0, 0]}, edges=[0.0], minimum=-1.0, maximum=1.0)


class Watched(Columns):
    """Remembers how many rows were binned at a time."""

    binned: list[int]

    def count(self, table: Table) -> None:
        self.binned = [*getattr(self, "binned", []), table.rows]
        super().count(table)


@pytest.fixture
def columns() -> Watched:
    found = Watched([FEATURE], tables.compile_schema(NUMBERS))
    found.binned = []
    return found


@pytest.fixture
async def counters(columns: Watched) -> Counters:
    return Counters(Bins(columns, Predictions(NUMBERS, None)))


def call(*rows: int) -> Predicted:
    """One call of the model for requests of so many rows; all values are above the edge."""
    parts = [Table(count, np.ones((count, 2))) for count in rows]
    table = tables.join(parts)
    return Predicted([[] for _ in rows], parts, table, {"predict": np.array(["M"] * table.rows, dtype=object)})


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_single_rows_are_binned_together_once_there_are_enough(counters: Counters, columns: Watched) -> None:
    for _ in range(HELD_ROWS - 1):
        counters.observe(call(1), [True])
    await turns(5)
    assert columns.binned == []
    counters.observe(call(1), [True])
    assert columns.binned == [], "the answers go first"
    await turns(3)
    assert columns.binned == [HELD_ROWS]


async def test_rows_wait_at_most_a_second(
    counters: Counters, columns: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[tuple[float, Callable[[], Any]]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay, callback: due.append((delay, callback)))
    counters.observe(call(2), [True])
    ((delay, callback),) = due
    assert (delay, columns.binned) == (1.0, [])
    callback()
    assert (columns.binned, counters.rows) == ([2], 2)


async def test_whoever_reads_sees_every_row(counters: Counters, columns: Watched) -> None:
    counters.observe(call(1, 2), [True, True])
    counters.settle()
    assert (counters.rows, columns.totals()[0].counts, counters.predicted()) == (3, [0, 3], [0, 3])
    counters.settle()
    assert columns.binned == [3]


async def test_a_large_request_does_not_hold_up_the_loop(counters: Counters, columns: Watched) -> None:
    counters.observe(call(10 * CHUNK_ROWS), [True])
    await turns(3)
    assert 0 < sum(columns.binned) < 10 * CHUNK_ROWS, "others have their turn"
    await turns(20)
    assert columns.binned == [CHUNK_ROWS] * 10


async def test_what_is_held_is_bounded(counters: Counters, columns: Watched) -> None:
    for _ in range(3):
        counters.observe(call(MAX_HELD_ROWS // 2), [True])
    await turns(2)
    assert sum(columns.binned) == 3 * (MAX_HELD_ROWS // 2)


async def test_rows_whose_caller_got_no_answer_are_not_counted(counters: Counters, columns: Watched) -> None:
    predicted = call(1, 3, 2)
    predicted.results["predict"][1:4] = "B"
    counters.observe(predicted, [True, False, True])
    counters.observe(call(4), [False])
    counters.settle()
    assert (counters.rows, columns.totals()[0].counts, counters.predicted()) == (3, [0, 3], [0, 3])


async def test_a_server_without_bins_counts_answered_rows() -> None:
    counters = Counters(None)
    counters.observe(call(1, 3), [True, False])
    assert (counters.rows, counters.columns(), counters.prediction(), counters.outputs) == (1, [], None, ())


def test_the_constants_go_together() -> None:
    assert counting.HELD_ROWS <= counting.CHUNK_ROWS < counting.MAX_HELD_ROWS
