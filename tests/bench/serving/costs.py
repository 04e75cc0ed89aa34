"""What two things cost our server: monitoring, with one-row requests, and 1,000 rows, as JSON and as bytes.

Each is measured within this process, where a microsecond can be seen, and between whole servers.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import uvloop

from mainspring_runtime.serve import binary, loading, tables, wire
from mainspring_runtime.serve.monitoring.profile import Profile
from tests.bench import bench_monitoring, table
from tests.bench.serving import bodies, machine, measuring, models, results, servers
from tests.bench.serving.models import Made
from tests.bench.serving.results import Goal, Sample
from tests.bench.serving.wrk import Request
from tests.cluster.progress import say

MANY_ROWS = 1_000
MANY_CONNECTIONS = 4
DECODE_REPEATS = 200
MONITORING_ROUNDS = 200
QUICK = 0.05  # as in bench_monitoring: this share of the rounds is quicker than the figure that is shown
ON, OFF = "monitoring on", "monitoring off"
JSON, BYTES = "JSON", "binary tensors"


def measure_all(root: Path, rounds: int, seconds: int) -> dict[str, Any]:
    """Measure and print; the content of the report."""
    made = models.make(models.LOGISTIC_BARE, root)
    return {
        "monitoring": monitoring(made, root, rounds, seconds),
        "many_rows": many_rows(made, root, rounds, seconds),
    }


def goals(found: Mapping[str, Any]) -> list[Goal]:
    return [
        Goal("monitoring, 20 features, µs a row", 3.0, found["monitoring"]["within_process_us"], at_least=False),
        Goal("decoding 1,000 rows: binary against JSON", 20.0, found["many_rows"]["decode"]["ratio"]),
    ]


def monitoring(made: Made, root: Path, rounds: int, seconds: int) -> dict[str, Any]:
    """One-row requests with the version's profile, which is counted by, and without."""
    say("measuring: monitoring on and off")
    request = bodies.tensor(made.table.iloc[[0]])
    bare = models.without(made.version, root, models.PROFILE)
    starts = (servers.ours(made.version, root / "on", ON), servers.ours(bare, root / "off", OFF))
    with ExitStack() as stack:
        started = [stack.enter_context(servers.running(start, root / f"{start.name}.log")) for start in starts]
        on, off = measuring.in_turns([(server, request) for server in started], 2 * rounds, seconds)
    # Both in one round: a machine that is slow for a while makes both slow.
    difference = statistics.median(one.cpu_us - other.cpu_us for one, other in zip(on, off, strict=True))
    within = within_process(root)
    table.show(
        f"monitoring, one row of 20 numbers (load now {machine.load():.1f})",
        ("", "RPS", "p99 ms", "CPU µs/request"),
        [(name, *shown(samples, "rate", "p99_ms", "cpu_us")) for name, samples in ((ON, on), (OFF, off))],
    )
    print(f"  CPU a row: {difference:.1f} µs more between servers; {within:.2f} µs within one process")
    return {
        ON: [asdict(sample) for sample in on],
        OFF: [asdict(sample) for sample in off],
        "between_servers_us": difference,
        "within_process_us": within,
    }


def within_process(root: Path) -> float:
    """Microseconds a row, as `bench_monitoring` measures for one-row requests."""
    directory = root / "within"
    directory.mkdir()
    columns = bench_monitoring.make_columns({"Float": 20})
    loaded = bench_monitoring.load(bench_monitoring.train(directory, columns), directory / "here")
    sizes, content = bench_monitoring.Sizes(1), bench_monitoring.body(columns, 1)

    async def run() -> float:
        both = (bench_monitoring.start(loaded), bench_monitoring.start(replace(loaded, profile=Profile(reason="off"))))
        taken: list[list[float]] = [[], []]
        for _ in range(MONITORING_ROUNDS):
            for parts, costs in zip(both, taken, strict=True):
                costs.append(await bench_monitoring.measure(parts, content, sizes))
        for parts in both:
            bench_monitoring.stop(parts)
        on, off = (sorted(costs)[int(len(costs) * QUICK)] for costs in taken)
        return on - off

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def many_rows(made: Made, root: Path, rounds: int, seconds: int) -> dict[str, Any]:
    """1,000 rows in one request: decoding alone, and whole requests; KServe knows the binary extension, too."""
    say("measuring: 1,000 rows a request")
    rows = made.table.sample(MANY_ROWS, replace=True, random_state=models.SEED)
    requests = {JSON: bodies.tensor(rows), BYTES: bodies.binary(rows)}
    decode = decoding(made, root, requests)
    for name in ("kserve", "mlserver"):
        (root / name).mkdir()
    with ExitStack() as stack:
        ours, kserve, mlserver = (
            stack.enter_context(servers.running(start, root / f"{start.name}.log"))
            for start in (
                servers.ours(made.version, root / "many"),
                servers.kserve(made, root / "kserve"),
                servers.mlserver(made, root / "mlserver"),
            )
        )
        servers.check_equal([ours, kserve, mlserver], [requests[JSON]])
        asked = {
            (server.name, form): (server, requests[form])
            for server, form in ((ours, JSON), (ours, BYTES), (kserve, JSON), (kserve, BYTES), (mlserver, JSON))
        }
        taken = measuring.in_turns(list(asked.values()), rounds, seconds, MANY_CONNECTIONS)
    found = dict(zip(asked, taken, strict=True))
    table.show(
        f"1,000 rows × 20 numbers, {MANY_CONNECTIONS} connections (load now {machine.load():.1f})",
        ("server", "request", "RPS", "p50 ms", "p99 ms", "CPU µs/request"),
        [(*key, *shown(samples, "rate", "p50_ms", "p99_ms", "cpu_us")) for key, samples in found.items()],
    )
    print(f"  decoding alone, µs: JSON {decode[JSON]:.0f}, binary {decode[BYTES]:.1f}, ratio {decode['ratio']:.0f}")
    whole = [{"server": key[0], "request": key[1], "rounds": list(map(asdict, rows))} for key, rows in found.items()]
    return {"decode": decode, "whole": whole}


def decoding(made: Made, root: Path, requests: Mapping[str, Request]) -> dict[str, float]:
    """Microseconds from the bytes of a body to the table that a model is given: the least of many repetitions."""
    settings = replace(bench_monitoring.SETTINGS, uri=made.version.uri, digest=made.version.digest)
    schema = tables.compile_schema(loading.load(settings, root / "decode", 1).predictor.signature)
    plain, mixed = requests[JSON].body, requests[BYTES]
    length = mixed.headers["Inference-Header-Content-Length"].encode()

    def by_json() -> None:
        tables.build(schema, wire.decode(plain).inputs, MANY_ROWS)

    def by_bytes() -> None:
        head, rest = binary.divide(mixed.body, length)
        tables.build(schema, binary.attach(wire.decode(head), rest), MANY_ROWS)

    times = {JSON: least(by_json), BYTES: least(by_bytes)}
    return {**times, "ratio": times[JSON] / times[BYTES]}


def least(action: Callable[[], None]) -> float:
    """Microseconds of thread time; `DECODE_REPEATS` tries of some calls each, since the clock is coarse."""
    calls, found = 10, []
    for _ in range(DECODE_REPEATS):
        started = time.thread_time()
        for _ in range(calls):
            action()
        found.append((time.thread_time() - started) / calls * 1e6)
    return min(found)


def shown(samples: list[Sample], *fields: str) -> list[float]:
    measured = results.Measured("", "", samples, 0.0, 0.0)
    return [measured.median(field) for field in fields]
