"""Memory of the operator's process over a growing number of services, and after a restart over all of them.

python -m tests.bench.bench_memory [--objects N …]
"""

from __future__ import annotations

import argparse

from tests.bench import stage, table
from tests.wiring.operator import Operator

COUNTS = (0, 100, 1000)
GOAL_MIB = 128
SPACE = "operator"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--objects", type=int, nargs="+", default=COUNTS)
    counts = sorted(parser.parse_args().objects)
    with stage.opened() as found:
        operator, there, rows = found.serve(SPACE, 0), 0, []
        for count in counts:
            found.populate(SPACE, count - there, there)
            there = count
            rows.append((f"{count} services", _settled(operator)))
        operator.terminate()
        rows.append((f"{there} services, after a restart", _settled(found.start())))
    table.show(
        f"Resident memory of the operator (goal: at most {GOAL_MIB} MiB at 1000 services)", ("with", "MiB"), rows
    )


def _settled(operator: Operator) -> int:
    stage.await_quiet(operator)
    return round(stage.memory_mib(operator.metrics()))


if __name__ == "__main__":
    main()
