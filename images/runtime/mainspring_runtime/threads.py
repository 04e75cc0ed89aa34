"""How many threads a Job may use. Recorded, because some estimators give other last digits with other numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from joblib import parallel_config
from threadpoolctl import threadpool_limits

from mainspring.api.v1alpha1.common import Resources
from mainspring_runtime import cgroups
from mainspring_runtime.serve import cpu

UNLIMITED_THREADS = 4  # without any limit or request; the node's number would differ from node to node


def available(resources: Resources | None) -> int:
    """The CPU limit of the container; without one, what the run asks for; at least 1, at most what the machine has."""
    if cgroups.cpu_quota() is not None:
        return cpu.thread_count()
    asked = _asked(resources)
    return max(1, min(UNLIMITED_THREADS if asked is None else asked, len(os.sched_getaffinity(0))))


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """All that computes inside uses at most so many threads, and nothing starts processes.

    The number is given from outside and not as `n_jobs`, which would be stored in the model.
    """
    with threadpool_limits(threads), parallel_config(backend="threading", n_jobs=threads):
        yield


def _asked(resources: Resources | None) -> int | None:
    """Whole CPUs of `resources`, rounded up."""
    for part in (resources.limits, resources.requests) if resources else ():
        if part and "cpu" in part:
            return math.ceil(cpus(part["cpu"]))
    return None


def cpus(quantity: str | int) -> Decimal:
    """A Kubernetes CPU quantity: "1500m" is 1.5."""
    text = str(quantity)
    return Decimal(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)
