"""What counting costs a model server: the same application with the version's profile.json and without, side by side.

    python -m tests.bench.bench_monitoring [--rounds 200]

A server counts by the bins of the version's own profile; without that file it serves all the same and counts nothing but
rows, so the difference between the two is the cost of counting, watched outputs included. Both applications run in this
process, without the network, on the event loop of production: 16 callers, 20 features, requests of one row and of many.
Figures are CPU time of all threads, a low quantile of many short rounds that take turns, so that a busy machine disturbs
little; they are printed, not asserted. The second table has the parts of the cost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from prometheus_client import generate_latest

from mainspring_runtime.serve import loading, predicting, server, tables
from mainspring_runtime.serve.loading import Loaded
from mainspring_runtime.serve.metrics import make_registry
from mainspring_runtime.serve.monitoring import compiling
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.monitoring.series import MonitoringCollector
from mainspring_runtime.serve.settings import Limits, Settings
from mainspring_runtime.serve.tables import Schema, Table
from mainspring_runtime.serve.wire import RequestInput
from tests.unit.runtime.serve import artifact
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.serve.wired import Line
from tests.unit.runtime.train import prepared_data

Columns = dict[str, tuple[str, list[Any]]]

CALLERS = 16
PATH = "/v2/models/m/infer"
SETTINGS = Settings("m", "1", "", "", port=0, internal_port=0, feedback_key="k" * 32)
ROUND_ROWS = 256
QUICK_ROUNDS = 0.05  # this share of the rounds is quicker than the figure that is shown
TRAINING_ROWS = 2_000
REQUEST_ROWS = (1, 16, 256)
PROCESS_ROWS = 4_096
REPEATS = 9
KINDS = {
    "20 numbers": {"Float": 20},
    "12 numbers, 6 categories, a boolean, a time": {"Float": 12, "Category": 6, "Boolean": 1, "Timestamp": 1},
}
DATATYPES = {"Float": "FP64", "Category": "BYTES", "Boolean": "FP64", "Timestamp": "BYTES"}


@dataclass(frozen=True)
class Sizes:
    """Rows of a request, and of a round: at least one request for each caller."""

    rows: int

    @property
    def requests(self) -> int:
        """Of each caller in a round."""
        return max(1, ROUND_ROWS // (CALLERS * self.rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for number, (name, kinds) in enumerate(KINDS.items()):
            root = Path(directory) / str(number)
            root.mkdir()
            columns = make_columns(kinds)
            loaded = load(train(root, columns), root / "here")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(compare(name, loaded, columns, arguments.rounds))
                runner.run(print_parts(name, loaded, columns))


async def compare(name: str, loaded: Loaded, columns: Columns, rounds: int) -> None:
    """Both applications, for each size of a request."""
    print(f"\n{name}, {CALLERS} callers: CPU µs a row")
    print(f"{'rows a request':>16}{'only rows':>12}{'counting':>12}{'cost':>8}{'rows a call':>14}")
    bare, counting = start(replace(loaded, profile=Profile(reason="not counted"))), start(loaded)
    for rows in REQUEST_ROWS:
        sizes, content = Sizes(rows), body(columns, rows)
        costs: list[list[float]] = [[], []]
        calls = sum(counting.tallies.batch_rows.counts), counting.tallies.batch_rows.total
        for _ in range(rounds):
            for parts, found in zip((bare, counting), costs, strict=True):
                found.append(await measure(parts, content, sizes))
        batches = counting.tallies.batch_rows
        together = (batches.total - calls[1]) / (sum(batches.counts) - calls[0])
        least = [sorted(found)[int(len(found) * QUICK_ROUNDS)] for found in costs]
        print(f"{rows:16}{least[0]:12.2f}{least[1]:12.2f}{least[1] - least[0]:8.2f}{together:14.1f}")
    for parts in (bare, counting):
        stop(parts)


def start(loaded: Loaded) -> server.Parts:
    """The application of a server, with a port that nobody listens on."""
    parts = server.assemble(SETTINGS, Limits())
    server.start_answering(parts, server.compile_model(parts, loaded))
    return parts


def stop(parts: server.Parts) -> None:
    parts.executor.shutdown()
    for listener in (parts.public, parts.internal):
        listener.stop()


async def measure(parts: server.Parts, content: bytes, sizes: Sizes) -> float:
    """Microseconds of CPU time for each row, binning included."""
    started = time.process_time()
    await asyncio.gather(*(call(parts, content, sizes.requests) for _ in range(CALLERS)))
    assert parts.monitor.watched is not None
    parts.monitor.watched.counters.settle()
    return (time.process_time() - started) / (CALLERS * sizes.requests * sizes.rows) * 1e6


async def call(parts: server.Parts, content: bytes, requests: int) -> None:
    """One caller: the next request follows the answer."""
    line = Line(parts.public.shared)
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    for _ in range(requests):
        assert (await line.ask(head.encode() + content)).startswith(b"HTTP/1.1 200")
    line.close()


def make_columns(kinds: dict[str, int]) -> Columns:
    """Columns of every kind, and a target that depends on the first one."""
    generator = np.random.default_rng(0)
    columns: Columns = {
        f"{kind.lower()}_{number}": (kind, values(kind, generator))
        for kind, count in kinds.items()
        for number in range(count)
    }
    columns["target"] = ("Category", ["yes" if value > 0 else "no" for value in columns["float_0"][1]])
    return columns


def values(kind: str, generator: np.random.Generator) -> list[Any]:
    drawn: Any
    match kind:
        case "Float":
            drawn = generator.normal(size=TRAINING_ROWS).round(3)
        case "Category":
            drawn = generator.choice([f"category-{number}" for number in range(12)], TRAINING_ROWS)
        case "Boolean":
            drawn = generator.random(TRAINING_ROWS) < 0.5
        case _:
            seconds = generator.integers(0, 30 * 86_400, TRAINING_ROWS)
            drawn = np.datetime64("2026-01-01", "us") + seconds.astype("timedelta64[s]")
    return list(drawn.tolist())


def train(root: Path, columns: Columns) -> Version:
    dataset = prepared_data.write_dataset(root / "dataset", columns, target="target")
    return artifact.train(dataset, root, "target")


def body(columns: Columns, rows: int) -> bytes:
    return json.dumps({"inputs": list(inputs(columns, 0, rows))}).encode()


def inputs(columns: Columns, first: int, rows: int) -> Iterator[dict[str, Any]]:
    for name, (kind, found) in columns.items():
        if name != "target":
            data = [as_json(kind, value) for value in found[first : first + rows]]
            yield {"name": name, "shape": [rows], "datatype": DATATYPES[kind], "data": data}


def as_json(kind: str, value: Any) -> Any:
    if kind == "Timestamp":
        return f"{value.isoformat()}Z"
    return float(value) if kind == "Boolean" else value


def load(version: Version, directory: Path) -> Loaded:
    return loading.load(replace(SETTINGS, uri=version.uri, digest=version.digest), directory, 1)


async def print_parts(name: str, loaded: Loaded, columns: Columns) -> None:
    """What a row costs where, by rows in one call of the model."""
    schema = tables.compile_schema(loaded.predictor.signature)
    calls = {rows: list(split(schema, columns, rows)) for rows in (*REQUEST_ROWS, PROCESS_ROWS)}
    print(f"\n{name}, within one process: µs a row")
    print(f"{'rows a call':>16}{'predict':>12}{'+ watched':>12}{'counting':>12}{'+ tokens':>12}")
    for rows, parts in calls.items():
        print(f"{rows:16}" + "".join(f"{cost:12.2f}" for cost in parts_of(loaded, schema, parts)))
    print_readers(loaded, schema, calls[PROCESS_ROWS])


def split(schema: Schema, columns: Columns, rows: int) -> Iterator[Table]:
    """Tables as requests make them, `PROCESS_ROWS` rows in all."""
    for number in range(PROCESS_ROWS // rows):
        first = number * rows % TRAINING_ROWS if rows < TRAINING_ROWS else 0
        parts = [tables.build(schema, wired(columns, row % TRAINING_ROWS), 1) for row in range(first, first + rows)]
        yield tables.join(parts)


def wired(columns: Columns, row: int) -> list[RequestInput]:
    return [RequestInput(**given) for given in inputs(columns, row, 1)]


def parts_of(loaded: Loaded, schema: Schema, parts: Sequence[Table]) -> tuple[float, ...]:
    """The model alone; computing the watched output as well; counting; making tokens as well."""
    watched, tokens = compiling.compile_monitoring(SETTINGS, loaded.predictor.signature, loaded.profile, schema)
    outputs = watched.counters.outputs
    plain = predicting.make_predict(loaded.predictor, schema)
    both = predicting.make_predict(loaded.predictor, schema, outputs, tokens)
    predicted = [both([part], ("predict",)) for part in parts]

    def count() -> None:
        for call in predicted:
            watched.counters.observe(call, [True])
        watched.counters.settle()

    alone, with_watched, counting, with_tokens = best(
        lambda: [plain([part], ("predict",)) for part in parts],
        lambda: [both([part], ("predict",)) for part in parts],
        count,
        lambda: [both([part], ("predict", "feedback_token")) for part in parts],
    )
    return alone, with_watched - alone, counting, with_tokens - with_watched


def print_readers(loaded: Loaded, schema: Schema, parts: Sequence[Table]) -> None:
    """What somebody who reads costs the event loop."""
    watched, _ = compiling.compile_monitoring(SETTINGS, loaded.predictor.signature, loaded.profile, schema)
    predict = predicting.make_predict(loaded.predictor, schema, watched.counters.outputs)
    watched.counters.observe(predict(parts, ("predict",)), [True] * len(parts))
    monitor = Monitor()
    monitor.watched = watched
    collector = MonitoringCollector("m", "1", monitor)
    registry = make_registry(collector)
    size, text = len(monitor.snapshot()), generate_latest(registry)
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    snapshot, scrape = (
        cost * PROCESS_ROWS / 1000 for cost in best(monitor.snapshot, lambda: generate_latest(registry))
    )
    print(f"snapshot: {size} bytes in {snapshot:.2f} ms; scrape: {series} series in {scrape:.1f} ms")


def best(*actions: Callable[[], Any]) -> list[float]:
    """Microseconds for each of `PROCESS_ROWS` rows; all actions in turn, so that they have the same chances."""
    found: list[list[float]] = [[] for _ in actions]
    for _ in range(REPEATS):
        for times, action in zip(found, actions, strict=True):
            started = time.thread_time()
            action()
            times.append(time.thread_time() - started)
    return [min(times) / PROCESS_ROWS * 1e6 for times in found]


if __name__ == "__main__":
    main()
