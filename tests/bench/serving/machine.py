"""Cores, CPU time and memory of processes, from /proc."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
MEBIBYTE_KIB = 1024
# What numeric libraries read when they are imported.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def cores() -> tuple[int, int]:
    """One for the server and one for the client; the same where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pinned(command: Sequence[str], core: int) -> list[str]:
    """On that core from the start: threads and children inherit it."""
    return ["taskset", "-c", str(core), *command]


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with its threads, its children that have ended, and those that live."""
    return sum(sum(map(int, _stat(each)[11:15])) for each in tree(pid)) / TICKS


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its descendants."""
    return sum(_resident_kib(each) for each in tree(pid)) / MEBIBYTE_KIB


def _resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def described() -> dict[str, Any]:
    """For whoever reads the figures later."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "python": platform.python_version(),
        "system": platform.release(),
    }


def load() -> float:
    """Of the last minute; what is measured counts too."""
    return os.getloadavg()[0]
