"""What the payload log costs a model server: the same application without it, and with shares of its requests logged.

    python -m tests.bench.bench_payloads [--rows 20000]

Model, callers and columns are those of `bench_monitoring`; all count, too. Figures are CPU time of all threads, that of
the log included, from the first request until the last part is in a directory on this machine; the least of several
rounds, in which all servers take turns. Below each table: its parts (on the event loop: to decide about a request, and to
take one that is logged; in the thread: to make a file), and what is held in memory and what becomes of the rest when
everything is logged and the store hangs.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import uvloop

from mainspring_runtime import parquet
from mainspring_runtime.serve import predicting, server, tables
from mainspring_runtime.serve.loading import Loaded
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.payloads import compiling
from mainspring_runtime.serve.payloads.mark import Mark
from mainspring_runtime.serve.payloads.rows import Entry, Rows
from mainspring_runtime.serve.settings import Limits, PayloadLog
from tests.bench import bench_monitoring
from tests.bench.bench_monitoring import CALLERS, KINDS, REQUEST_ROWS, SETTINGS, TRAINING_ROWS, Columns, Sizes

RATES = (0.0, 0.1, 1.0)
REPEATS = 7
HELD_ROWS = 400_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="in each round")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as directory:
        for number, (name, kinds) in enumerate(KINDS.items()):
            root = Path(directory) / str(number)
            root.mkdir()
            columns = bench_monitoring.make_columns(kinds)
            loaded = bench_monitoring.load(bench_monitoring.train(root, columns), root / "here")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(compare(name, loaded, columns, rows, root / "log"))
                runner.run(print_parts(loaded, columns))
                runner.run(hang(loaded, columns))


async def compare(name: str, loaded: Loaded, columns: Columns, rows: int, directory: Path) -> None:
    """CPU time for each share and each size of a request."""
    print(f"\n{name}, {CALLERS} callers: CPU µs a row")
    print(f"{'rows a request':>16}" + "".join(f"{f'{rate:.0%} logged':>14}" for rate in RATES) + f"{'cost of 10%':>14}")
    for size in REQUEST_ROWS:
        content = bench_monitoring.body(columns, size)
        sizes = Sizes(size)
        rounds = max(1, rows // (CALLERS * sizes.requests * size))
        found: dict[float, list[float]] = {rate: [] for rate in RATES}
        for _ in range(REPEATS):
            for rate, costs in found.items():
                costs.append(await measure(loaded, rate, content, sizes, rounds, directory / f"{size}-{rate}"))
        least = {rate: min(costs) for rate, costs in found.items()}
        print(f"{size:16}" + "".join(f"{cost:14.2f}" for cost in least.values()) + f"{least[0.1] - least[0.0]:14.2f}")


async def measure(loaded: Loaded, rate: float, content: bytes, sizes: Sizes, rounds: int, directory: Path) -> float:
    """Microseconds for each row, from the first request until everything is written."""
    log = PayloadLog(directory.as_uri(), rate) if rate else None
    parts = start(loaded, log)
    started = time.process_time()
    for _ in range(rounds):
        await asyncio.gather(*(bench_monitoring.call(parts, content, sizes.requests) for _ in range(CALLERS)))
    assert await close(parts, 60.0)
    spent = time.process_time() - started
    assert parts.monitor.watched is not None
    dropped = parts.monitor.watched.payloads().dropped if parts.monitor.watched.payloads else 0
    assert dropped == 0, f"{dropped} rows were not logged: the figure would be too good"
    bench_monitoring.stop(parts)
    return spent / (rounds * CALLERS * sizes.requests * sizes.rows) * 1e6


def start(loaded: Loaded, log: PayloadLog | None) -> server.Parts:
    parts = server.assemble(replace(SETTINGS, payload_log=log), Limits(payload_bytes=1 << 30))
    server.start_answering(parts, server.compile_model(parts, loaded))
    return parts


async def close(parts: server.Parts, seconds: float) -> bool:
    model = parts.app.model
    assert model is not None
    return model.log is None or await model.log.close(seconds)


async def print_parts(loaded: Loaded, columns: Columns) -> None:
    """Thread time, the least of some repetitions; rows are those of the training data."""
    settings = replace(SETTINGS, payload_log=PayloadLog("", 1.0))
    signature, schema = loaded.predictor.signature, tables.compile_schema(loaded.predictor.signature)
    log, _ = compiling.compile_log(settings, Limits(payload_bytes=1 << 40), signature, loaded.profile, schema)
    assert log is not None
    predict = predicting.make_predict(loaded.predictor, schema, log.outputs)
    marks = [Mark(f"order-{number}", 500) for number in range(TRAINING_ROWS)]
    calls = [
        predict([msgspec.structs.replace(one, mark=mark)], ("predict",))
        for one, mark in zip(bench_monitoring.split(schema, columns, 1), marks, strict=False)
    ]
    rows = Rows("m", "1", schema, Predictions(signature, loaded.profile.prediction))
    entries = [Entry(mark, 1, call.parts[0], call.results) for call, mark in zip(calls, marks, strict=True)]

    def take() -> None:
        for call in calls:
            log.observe(call, [True])

    deciding = best(lambda: [log.mark(mark.request, 500) for mark in marks])
    taking = best(take)
    making = best(lambda: parquet.encode(rows.columns(entries)))
    size = len(parquet.encode(rows.columns(entries)))
    print(
        f"deciding {deciding:.2f}, taking {taking:.2f} µs a request; making a file {making:.2f} µs and "
        f"{size / len(entries):.0f} bytes a row; so 10 % of one-row requests cost {deciding + (taking + making) / 10:.2f} µs"
    )


def best(action: Callable[[], Any]) -> float:
    """Microseconds for each of `TRAINING_ROWS`."""
    times = []
    for _ in range(REPEATS * 3):
        started = time.thread_time()
        action()
        times.append(time.thread_time() - started)
    return min(times) / TRAINING_ROWS * 1e6


class Hanging:
    """A store that does not answer."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def put(self, path: str, content: bytes) -> None:
        self.released.wait()

    def delete_before(self, moment: int) -> int:
        return 0


async def hang(loaded: Loaded, columns: Columns) -> None:
    """Everything is logged, and nothing gets away."""
    content, sizes = bench_monitoring.body(columns, 256), Sizes(256)
    sink = Hanging()
    with mock.patch.object(compiling, "StoreSink", return_value=sink):
        parts = server.assemble(replace(SETTINGS, payload_log=PayloadLog("", 1.0)), Limits())
        server.start_answering(parts, server.compile_model(parts, loaded))
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        asked = 0
        while asked < HELD_ROWS:
            await asyncio.gather(*(bench_monitoring.call(parts, content, sizes.requests) for _ in range(CALLERS)))
            asked += CALLERS * sizes.requests * sizes.rows
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert parts.monitor.watched is not None
        assert parts.monitor.watched.payloads is not None
        dropped = parts.monitor.watched.payloads().dropped
        sink.released.set()
        await close(parts, 60.0)
    bench_monitoring.stop(parts)
    print(f"a store that hangs: {asked} rows answered, {dropped} dropped, {held / 2**20:.1f} MiB held")


if __name__ == "__main__":
    main()
