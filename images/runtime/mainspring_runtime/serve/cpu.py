"""How many threads may compute: what the container's CPU limit allows, not what the node has.

With the node's count under a limit of one CPU, the threads of one prediction wait for each other across throttling
periods, and latency collapses.
"""

from __future__ import annotations

import os

from mainspring_runtime import cgroups

# Without a limit: predicting one row on all CPUs of a large node is slower than on one, and disturbs the neighbours.
UNLIMITED_THREADS = 4
# Read once, when NumPy, SciPy and scikit-learn load their libraries.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def thread_count() -> int:
    """Whole CPUs of the quota, at least 1; a few without a quota; never more than the process may run on."""
    quota = cgroups.cpu_quota()
    allowed = UNLIMITED_THREADS if quota is None else int(quota)
    return max(1, min(allowed, len(os.sched_getaffinity(0))))


def limit_threads(count: int) -> None:
    """Tell the numeric libraries, which must not be imported yet. A variable that is already set stays."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(count))
