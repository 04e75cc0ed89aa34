"""Minutes at 80 % of what the server can do: memory, errors and latency over time (`make bench-soak`).

    python -m tests.bench.bench_soak [--minutes 10] [--load 0.8] [--stalled] [--json build/bench-soak.json]

Saturation is what `wrk` reaches with 16 connections. Then a client of ours keeps the rate: a request is due at a moment
whatever the server does, and its latency counts from then. With `--stalled` the same is done twice more with a payload
log of all requests: into a directory, and into a store that takes every connection and never answers. Figures are printed
and written, not asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import uvloop

from tests.bench import table
from tests.bench.serving import bodies, machine, measuring, models, servers
from tests.bench.serving.models import Made
from tests.bench.serving.openloop import Caller, Tally
from tests.bench.serving.report import below, write
from tests.bench.serving.servers import Server, Start
from tests.bench.serving.wrk import Request
from tests.cluster import packages
from tests.cluster.progress import say

REPORT = Path("build/bench-soak.json")
PERIOD_SECONDS = 30.0
CONNECTIONS = 64
SATURATION_SECONDS = 10
PAYLOADS = "mainspring_payload_rows_total"


@dataclass(frozen=True)
class Period:
    """What was seen in one period; `second` is its end."""

    second: float
    resident_mib: float
    answers: int
    errors: int
    p50_ms: float
    p99_ms: float
    load: float


@dataclass(frozen=True)
class Soak:
    """One server, minute after minute."""

    name: str
    rate: float
    resident_mib: float  # before
    periods: list[Period]
    p50_ms: float  # of all answers
    p99_ms: float
    payload_rows: dict[str, float]


def main() -> None:
    """Measure, print and write."""
    arguments = parse()
    packages.ensure(packages.LOAD)
    with tempfile.TemporaryDirectory() as temporary, stalled_store() as store:
        root = Path(temporary)
        made = models.make(models.LOGISTIC_BARE, root)
        request = bodies.tensor(made.table.iloc[[0]])
        rate = arguments.load * saturation(made, request, below(root, "saturation"))
        logs = {"payload log": logging_to(below(root, "log").as_uri()), "payload log, stalled store": store}
        kinds: dict[str, dict[str, str]] = {"no payload log": {}} | (logs if arguments.stalled else {})
        found = [
            soak(made, name, variables, request, rate, arguments.minutes * 60, below(root, str(number)))
            for number, (name, variables) in enumerate(kinds.items())
        ]
    for each in found:
        show(each)
    content = [asdict(each) for each in found]
    write(arguments.json, {"machine": machine.described(), "load": arguments.load, "soaks": content})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="default: %(default)s")
    parser.add_argument("--load", type=float, default=0.8, help="share of saturation (default: %(default)s)")
    parser.add_argument("--stalled", action="store_true", help="again, with a payload log, and with one that hangs")
    parser.add_argument("--json", type=Path, default=REPORT, help="where to write (default: %(default)s)")
    return parser.parse_args()


def saturation(made: Made, request: Request, root: Path) -> float:
    """Requests a second: the median of three."""
    with servers.running(servers.ours(made.version, root / "work"), root / "log") as server:
        [samples] = measuring.in_turns([(server, request)], 3, SATURATION_SECONDS)
    rate = sorted(sample.rate for sample in samples)[1]
    say(f"saturation: {rate:.0f} requests a second")
    return rate


def soak(
    made: Made, name: str, variables: dict[str, str], request: Request, rate: float, seconds: float, root: Path
) -> Soak:
    start = servers.ours(made.version, root / "work", **variables)
    with servers.running(start, root / "log") as server:
        measuring.measure(server, request, measuring.WARM_UP_SECONDS)
        before = machine.resident_mib(server.pid)
        say(f"{name}: {rate:.0f} requests a second for {seconds:.0f} s, {before:.1f} MiB")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            tallies, periods = runner.run(keep_asking(server, request, rate, seconds))
        return Soak(name, rate, before, periods, *percentiles(tallies), payload_rows=payload_rows(start))


async def keep_asking(
    server: Server, request: Request, rate: float, seconds: float
) -> tuple[list[Tally], list[Period]]:
    caller = Caller(server.port, servers.INFER, request, rate, CONNECTIONS)
    asking = asyncio.create_task(caller.run(seconds))
    tallies: list[Tally] = []
    periods: list[Period] = []
    started = time.monotonic()
    while not asking.done():
        left = started + seconds - time.monotonic()
        # The last period lasts until the last answer.
        await asyncio.wait([asking], timeout=PERIOD_SECONDS if left > 1.5 * PERIOD_SECONDS else None)
        tallies.append(caller.tally.take())
        periods.append(describe(time.monotonic() - started, server, tallies[-1]))
    await asking
    return tallies, periods


def describe(second: float, server: Server, tally: Tally) -> Period:
    resident = machine.resident_mib(server.pid)
    found = Period(second, resident, len(tally.milliseconds), tally.errors, *percentiles([tally]), load=machine.load())
    say(f"{second:.0f} s: {resident:.1f} MiB, {found.errors} errors, p99 {found.p99_ms:.1f} ms")
    return found


def percentiles(tallies: list[Tally]) -> tuple[float, float]:
    """The 50th and the 99th of all answers, in milliseconds."""
    found = np.concatenate([np.frombuffer(tally.milliseconds) for tally in tallies if tally.milliseconds])
    p50, p99 = np.percentile(found, (50, 99))
    return float(p50), float(p99)


def payload_rows(start: Start) -> dict[str, float]:
    """Rows of the payload log by outcome, as the server counts them; empty without a log."""
    _, content = servers.exchange(int(start.environment["MAINSPRING_INTERNAL_PORT"]), "GET", "/metrics")
    lines = [line for line in content.decode().splitlines() if line.startswith(PAYLOADS)]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def logging_to(uri: str) -> dict[str, str]:
    """What to tell a server so that it logs every request there."""
    return {"MAINSPRING_PAYLOAD_LOG": json.dumps({"uri": uri, "sampleRate": 1.0})}


@contextmanager
def stalled_store() -> Iterator[dict[str, str]]:
    """What to tell a server so that its payload log goes to an S3 store that never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        # Connections are accepted by the kernel, and nobody reads them.
        listening.listen(128)
        yield logging_to("s3://payloads/log") | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listening.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
        }


def show(found: Soak) -> None:
    columns = ("second", "RSS MiB", "answers", "errors", "p50 ms", "p99 ms", "load")
    rows: list[tuple[object, ...]] = [("start", found.resident_mib, "", "", "", "", "")]
    rows += [tuple(asdict(period).values()) for period in found.periods]
    table.show(f"{found.name}: {found.rate:.0f} requests a second", columns, rows)
    errors = sum(period.errors for period in found.periods)
    answers = sum(period.answers for period in found.periods)
    print(f"  {answers} answers, {errors} errors, p50 {found.p50_ms:.2f} ms, p99 {found.p99_ms:.2f} ms")
    for name, count in found.payload_rows.items():
        print(f"  {name} {count:.0f}")


if __name__ == "__main__":
    main()
