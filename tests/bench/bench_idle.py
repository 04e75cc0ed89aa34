"""What the operator writes when nothing happens: its Lease, and nothing else.

    python -m tests.bench.bench_idle [--objects N] [--minutes M]

Counted by the operator itself and, against it, by the revision of etcd, which every write of anybody raises by one.
"""

from __future__ import annotations

import argparse
import time

from tests.bench import stage, table
from tests.wiring.operator import WRITES

OBJECTS = 100
MINUTES = 10.0
SPACE = "operator"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args()
    with stage.opened() as found:
        operator = found.serve(SPACE, options.objects)
        stage.await_quiet(operator)
        before, first = operator.metrics(), found.revision()
        time.sleep(60 * options.minutes)  # the measurement itself
        after, last = operator.metrics(), found.revision()
    leases = after.requests(*WRITES, resource="Lease") - before.requests(*WRITES, resource="Lease")
    cpu = after.total("process_cpu_seconds_total") - before.total("process_cpu_seconds_total")
    table.show(
        f"{options.objects} idle InferenceServices for {options.minutes:g} minutes (goal: 0 writes beyond the Lease)",
        ("writes beyond the Lease", "writes of the Lease", "revisions of etcd", "CPU s"),
        [(after.writes() - before.writes(), leases, last - first, cpu)],
    )


if __name__ == "__main__":
    main()
