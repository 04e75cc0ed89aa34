"""What an answer costs beyond HTTP itself: the model server against one that answers a constant over the same connections.

    python -m tests.bench.bench_serve [--seconds 3] [--rounds 3]

One row of 20 numbers a request, 16 connections of `wrk`, server on one core and client on another. Each round measures the
constant and every model, one after the other, so that a busy machine slows all of them; the ratio is the median
over the rounds. CPU time is the honest column. Figures are printed, not asserted; `bench_peers` has the comparison with
other model servers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import uvloop

from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.listener import Listener, bind
from mainspring_runtime.serve.settings import Limits
from tests.bench import table
from tests.bench.serving import bodies, machine, measuring, models, results, servers, wrk
from tests.bench.serving.models import Case
from tests.bench.serving.report import below
from tests.bench.serving.results import Measured
from tests.bench.serving.servers import Server, Start
from tests.cluster import packages

CONSTANT = (
    b'{"model_name":"m","model_version":"1","outputs":[{"name":"predict","datatype":"INT64","shape":[1],"data":[1]}]}'
)
BARE = "a constant"
MAX_BYTES = 1 << 20
CASES = (models.LOGISTIC_BARE, models.FOREST_BARE, Case("histogram boosting", **models.BOOSTING))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)  # serve the constant on this port
    arguments = parser.parse_args()
    if arguments.bare:
        serve_bare(arguments.bare)
        return
    packages.ensure(packages.LOAD)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        asked = list(start_all(Path(directory), stack))
        taken = measuring.in_turns([each[1:] for each in asked], arguments.rounds, arguments.seconds)
        found = [
            Measured("", name, samples, server.ready_seconds, machine.resident_mib(server.pid))
            for (name, server, _), samples in zip(asked, taken, strict=True)
        ]
    table.show(
        f"one row of 20 numbers, 16 connections, medians of {arguments.rounds} rounds (load now {machine.load():.1f})",
        ("", "requests/s", "p99 ms", "CPU µs/request", "× constant", "ready s", "RSS MiB"),
        [row(measured, found[0]) for measured in found],
    )


def row(measured: Measured, bare: Measured) -> tuple[object, ...]:
    figures = [measured.median(field) for field in ("rate", "p99_ms", "cpu_us")]
    times_bare = results.ratios(bare, measured).cpu
    return measured.server, *figures, times_bare, measured.ready_seconds, measured.resident_mib


def start_all(root: Path, stack: ExitStack) -> Iterator[tuple[str, Server, wrk.Request]]:
    """The limit first; then a server for each model, the first of which is also asked column by column."""
    bare = None
    for case in CASES:
        directory = below(root, case.name)
        made = models.make(case, directory)
        rows = made.table.iloc[[0]]
        if bare is None:
            bare = stack.enter_context(servers.running(start_bare(), root / "bare.log"))
            yield BARE, bare, bodies.tensor(rows)
        start = servers.ours(made.version, directory / "work")
        server = stack.enter_context(servers.running(start, directory / "log"))
        servers.check_path(server)
        yield f"{case.name}, one tensor", server, bodies.tensor(rows)
        if case is models.LOGISTIC_BARE:
            yield f"{case.name}, 20 columns", server, bodies.columns(rows)


def start_bare() -> Start:
    """The listener of the server in a process of its own."""
    [port] = machine.free_ports(1)
    words = [sys.executable, "-m", "tests.bench.bench_serve", "--bare", str(port)]
    return Start(BARE, words, port, {"PYTHONPATH": os.environ["PYTHONPATH"]})


def serve_bare(port: int) -> None:
    def answer(_request: Request) -> Response:
        return Response(200, CONSTANT)

    async def run() -> None:
        routes = {f"{servers.MODEL}/ready": Route("GET", answer), servers.INFER: Route("POST", answer, MAX_BYTES)}
        await Listener(Router(routes, "a constant"), bind(port), Limits()).listen()

    uvloop.run(run())


if __name__ == "__main__":
    main()
