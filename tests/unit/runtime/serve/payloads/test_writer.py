"""The thread of the log, run here without one."""

from __future__ import annotations

from collections import deque

import numpy as np

from mainspring_runtime.payloads import MICROSECONDS, Source
from mainspring_runtime.serve import tables
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.payloads.log import Writer, size_of
from mainspring_runtime.serve.payloads.mark import Mark
from mainspring_runtime.serve.payloads.rows import Entry, Rows
from mainspring_runtime.serve.settings import PayloadLog
from mainspring_runtime.serve.tables import Table
from tests.unit.runtime.serve.fakes import NUMBERS
from tests.unit.runtime.serve.payloads.sinks import Memory

HOUR = 3_600 * MICROSECONDS
ROWS = Rows("m", "1", tables.compile_schema(NUMBERS), Predictions(NUMBERS, None))


def entry(hours: float, rows: int = 1) -> Entry:
    table = Table(rows, np.ones((rows, 2)))
    return Entry(Mark(f"at {hours}", 10), int(hours * HOUR), table, {"predict": np.array(["B"] * rows, dtype=object)})


def written(*entries: Entry, part_rows: int = 10_000) -> tuple[list[int], Writer]:
    """Rows of each part of what waited when the log was closed."""
    sink, settings = Memory(), PayloadLog("", 1.0, part_rows=part_rows)
    writer = Writer(settings, Source("m", "1", "sha256:00"), ROWS, sink, deque(entries), lambda: 0.0)
    writer.closing.set()
    writer.wake.set()
    writer.run()
    return [sink.next()[1].num_rows for _ in range(sink.parts.qsize())], writer


def test_what_waited_for_a_store_is_cut_into_parts_of_their_size() -> None:
    assert written(*(entry(0, rows=2) for _ in range(5)), part_rows=4)[0] == [4, 4, 2]


def test_no_part_is_a_day_long() -> None:
    """Readers find a part by the date of its first row."""
    assert written(entry(0), entry(23.9), entry(24), entry(47), entry(100))[0] == [2, 2, 1]


def test_what_is_written_is_no_longer_held() -> None:
    entries = [entry(0), entry(1, rows=3)]
    parts, writer = written(*entries)
    assert parts == [4]
    assert writer.released_bytes == sum(size_of(one.table, one.mark) for one in entries)
