"""Our model server beside KServe's and MLServer's: the same models, the same client, one core (`make bench-serve`).

    python -m tests.bench.bench_peers [--seconds 3] [--rounds 5] [--models TEXT] [--json build/bench-serve.json]

One row a request, 16 connections of `wrk`, server on one core and client on another, numeric libraries on one thread.
Ours counts what monitoring needs, on the ONNX path and, with the same version without its ONNX file, on scikit-learn.
Nothing is measured before all servers gave the same labels for the same rows. The others come from the locked
virtual environments of `tests/interop`, built on first use. Figures are printed and written, not asserted; docs/performance.md explains them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.bench import table
from tests.bench.serving import bodies, costs, machine, measuring, models, peers, results, servers
from tests.bench.serving.models import Case, Made
from tests.bench.serving.report import below, write
from tests.bench.serving.results import Measured
from tests.bench.serving.servers import Server
from tests.cluster import packages
from tests.cluster.progress import say

REPORT = Path("build/bench-serve.json")
CHECKED_ROWS = 50


def main() -> None:
    """Measure, print and write."""
    arguments = parse()
    packages.ensure(packages.LOAD)
    peers.install()
    started = machine.load()
    chosen = [case for case in models.CASES if arguments.models in case.name]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        found = [
            measured
            for number, case in enumerate(chosen)
            for measured in compare(case, below(root, str(number)), arguments.rounds, arguments.seconds)
        ]
        table.show(title(arguments), results.COLUMNS, results.rows(found))
        extra = (
            costs.measure_all(below(root, "costs"), arguments.rounds, arguments.seconds) if arguments.costs else None
        )
    goals = [*results.goals(found), *(costs.goals(extra) if extra else [])]
    table.show("goals", ("", "goal", "found", "met"), [goal.row() for goal in goals])
    write(
        arguments.json,
        {
            "machine": machine.described(),
            "load": {"before": started, "after": machine.load()},
            "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "results": results.as_json(found),
            "costs": extra,
            "goals": [{**asdict(goal), "met": goal.met} for goal in goals],
        },
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3, help="for each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--models", default="", help="only those whose name contains this")
    parser.add_argument("--json", type=Path, default=REPORT, help="where to write (default: %(default)s)")
    parser.add_argument("--no-costs", dest="costs", action="store_false", help="leave monitoring and 1,000 rows out")
    return parser.parse_args()


def title(arguments: argparse.Namespace) -> str:
    return f"one row, 16 connections, medians of {arguments.rounds} rounds (load now {machine.load():.1f})"


def compare(case: Case, root: Path, rounds: int, seconds: int) -> list[Measured]:
    """All servers with one model. Raises `NotEqual` when they do not answer the same."""
    say(f"training: {case.name}")
    made = models.make(case, root)
    form = bodies.columns if case.auto else bodies.tensor
    requests = [form(made.table.iloc[[row]]) for row in range(CHECKED_ROWS)]
    with ExitStack() as stack:
        started = start_all(made, root, stack)
        servers.check_equal(started, requests)
        say(f"measuring: {case.name}; all answer the same for {CHECKED_ROWS} rows")
        taken = measuring.in_turns([(server, requests[0]) for server in started], rounds, seconds)
        return [
            Measured(case.name, server.name, samples, server.ready_seconds, machine.resident_mib(server.pid))
            for server, samples in zip(started, taken, strict=True)
        ]


def start_all(made: Made, root: Path, stack: ExitStack) -> list[Server]:
    """One after the other, so that each starts on an idle core."""
    plain = models.without(made.version, root, models.ONNX)
    starts = (
        servers.ours(made.version, below(root, "ours"), results.ONNX),
        servers.ours(plain, below(root, "plain"), results.SKLEARN),
        servers.kserve(made, below(root, "kserve")),
        servers.mlserver(made, below(root, "mlserver")),
    )
    started = [stack.enter_context(servers.running(start, root / f"{start.name}.log")) for start in starts]
    for server in started[:2]:
        servers.check_path(server)
    return started


if __name__ == "__main__":
    main()
