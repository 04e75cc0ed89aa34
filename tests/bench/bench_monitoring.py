"""What counting costs a model server: the same version with its profile.json and without, side by side.

    python -m tests.bench.bench_monitoring [--seconds 3] [--rounds 5]

A server counts by the bins of the version's own profile; without that file it serves all the same and counts nothing but
rows, so the difference between the two is the cost of counting, watched outputs included. Servers on one core, callers on
another, 20 features, requests of one row and of many; each round measures both, one after the other, and the difference
is the median over the rounds. The second table has the parts of that cost within one process: CPU time of the thread, the
best of several runs, so that a busy machine disturbs less. Figures are printed, not asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import generate_latest

from mainspring_runtime import artifacts
from mainspring_runtime.serve import loading, predicting, tables
from mainspring_runtime.serve.loading import Loaded
from mainspring_runtime.serve.metrics import make_registry
from mainspring_runtime.serve.monitoring import compiling
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.monitoring.series import MonitoringCollector
from mainspring_runtime.serve.settings import Settings
from mainspring_runtime.serve.tables import Schema, Table
from mainspring_runtime.serve.wire import RequestInput
from tests.bench import bench_serve
from tests.bench.bench_serve import Target
from tests.unit.runtime.serve import artifact
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.train import prepared_data

Columns = dict[str, tuple[str, list[Any]]]

TRAINING_ROWS = 2_000
REQUEST_ROWS = (1, 16, 256)
PROCESS_ROWS = 4_096
REPEATS = 15
KINDS = {
    "20 numbers": {"Float": 20},
    "12 numbers, 6 categories, a boolean, a time": {"Float": 12, "Category": 6, "Boolean": 1, "Timestamp": 1},
}
DATATYPES = {"Float": "FP64", "Category": "BYTES", "Boolean": "FP64", "Timestamp": "BYTES"}


@dataclass
class Pair:
    """The same requests to a server that counts nothing but rows and to one that counts all."""

    name: str
    rows: int
    bare: Target
    counting: Target

    @property
    def cost(self) -> float:
        """Microseconds of CPU for each row: the median over the rounds."""
        both = zip(self.bare.costs, self.counting.costs, strict=True)
        return statistics.median((counting - bare) / self.rows for bare, counting in both)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        for number, (name, kinds) in enumerate(KINDS.items()):
            root = Path(directory) / str(number)
            root.mkdir()
            columns = make_columns(kinds)
            version = train(root, columns)
            pairs = list(start(name, root, version, columns, stack))
            bench_serve.pin(0, last=True)
            for _ in range(arguments.rounds):
                for pair in pairs:
                    bench_serve.measure(pair.bare, arguments.seconds)
                    bench_serve.measure(pair.counting, arguments.seconds)
            print_pairs(pairs)
            asyncio.run(print_parts(name, load(version, root / "here"), columns))


def print_pairs(pairs: Sequence[Pair]) -> None:
    print(f"\n{pairs[0].name}, {bench_serve.CONNECTIONS} connections")
    print(
        f"{'rows a request':>16}{'requests/s':>12}{'counting':>10}{'CPU µs/row':>13}{'counting':>10}{'cost µs/row':>13}"
    )
    for pair in pairs:
        rates = [statistics.median(target.rates) for target in (pair.bare, pair.counting)]
        costs = [statistics.median(target.costs) / pair.rows for target in (pair.bare, pair.counting)]
        print(f"{pair.rows:16}{rates[0]:12.0f}{rates[1]:10.0f}{costs[0]:13.1f}{costs[1]:10.1f}{pair.cost:13.2f}")


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
    match kind:
        case "Float":
            return generator.normal(size=TRAINING_ROWS).round(3).tolist()
        case "Category":
            return generator.choice([f"category-{number}" for number in range(12)], TRAINING_ROWS).tolist()
        case "Boolean":
            return (generator.random(TRAINING_ROWS) < 0.5).tolist()
        case _:
            seconds = generator.integers(0, 30 * 86_400, TRAINING_ROWS)
            return (np.datetime64("2026-01-01", "us") + seconds.astype("timedelta64[s]")).tolist()


def train(root: Path, columns: Columns) -> Version:
    dataset = prepared_data.write_dataset(root / "dataset", columns, target="target")
    return artifact.train(dataset, root, "target")


def without_profile(version: Version, root: Path) -> Version:
    directory = Path(shutil.copytree(Path(version.uri.removeprefix("file://")), root / "bare"))
    (directory / "profile.json").unlink()
    published = artifacts.publish(directory, (root / "store").as_uri())
    return Version(published.uri, published.digest)


def start(name: str, root: Path, version: Version, columns: Columns, stack: ExitStack) -> Iterator[Pair]:
    """Both servers, asked with requests of several sizes."""
    served = []
    for place, which in (("a", without_profile(version, root)), ("b", version)):
        process, port, _path = stack.enter_context(bench_serve.model_server(which, root / place))
        served.append((port, process.pid))
    for rows in REQUEST_ROWS:
        content = body(columns, rows)
        bare, counting = (Target(name, port, pid, content) for port, pid in served)
        yield Pair(name, rows, bare, counting)


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
    return loading.load(Settings("m", "1", version.uri, version.digest, feedback_key="k" * 32), directory, 1)


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
    settings = Settings("m", "1", "", "", feedback_key="k" * 32)
    watched, tokens = compiling.compile_monitoring(settings, loaded.predictor.signature, loaded.profile, schema)
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
    watched, _ = compiling.compile_monitoring(
        Settings("m", "1", "", ""), loaded.predictor.signature, loaded.profile, schema
    )
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
