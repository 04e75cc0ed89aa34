"""A restart of the operator over services that are as they should be.

    python -m tests.bench.bench_restart [--objects N] [--times N]

It must write nothing but its Lease, and read no more than one list of each kind.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from tests.bench import stage, table
from tests.bench.stage import Stage
from tests.cluster import wait
from tests.wiring.operator import Operator

OBJECTS = 1000
TIMES = 3
SPACE = "operator"


@dataclass(frozen=True)
class Restart:
    ready_seconds: float
    done_seconds: float
    cpu_seconds: float
    reads: int
    writes: int
    memory_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--times", type=int, default=TIMES)
    options = parser.parse_args()
    with stage.opened() as found:
        found.serve(SPACE, options.objects).terminate()
        restarts = [_restart(found, options.objects) for _ in range(options.times)]
    table.show(
        f"Restart over {options.objects} InferenceServices and their children (goal: 0 writes)",
        ("s until ready", "s until all were looked at", "CPU s", "reads", "writes", "MiB"),
        [(r.ready_seconds, r.done_seconds, r.cpu_seconds, r.reads, r.writes, round(r.memory_mib)) for r in restarts],
    )


def _restart(found: Stage, count: int) -> Restart:
    started = time.perf_counter()
    operator = found.start()
    ready = time.perf_counter() - started
    _await_looked_at(operator, count)
    done = time.perf_counter() - started
    stage.await_quiet(operator)
    told = operator.metrics()
    operator.terminate()
    return Restart(
        ready_seconds=ready,
        done_seconds=done,
        cpu_seconds=told.total("process_cpu_seconds_total"),
        reads=told.requests("GET") - told.requests("GET", resource="Lease"),
        writes=told.writes(),
        memory_mib=stage.memory_mib(told),
    )


def _await_looked_at(operator: Operator, count: int) -> None:
    def missing() -> str | None:
        seen = operator.metrics().total("mainspring_reconcile_seconds_count", kind="InferenceService")
        return None if seen >= count else f"{seen:.0f} of {count} services were looked at"

    wait.until(missing, stage.PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
