"""Background processes that outlive the command that started them.

Each has a record file: its pid, when the kernel says it started, and a fingerprint
of what it was started with. A pid is only ever signalled while the start time still
matches, so a recycled pid is never mistaken for ours.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster import wait

STOP_GRACE_SECONDS = 15.0
KILL_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """One process for certain: a pid together with its boot and start time."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return identify(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone or the pid has been given to another."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


@dataclass(frozen=True)
class Record:
    """What the record file says of a process that we started."""

    process: Process
    fingerprint: str

    def write(self, path: Path) -> None:
        """Write the record file in one step."""
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(asdict(self)))
        partial.rename(path)


def read(path: Path) -> Record | None:
    """The record at `path`; None when there is none, or it cannot be read."""
    try:
        content = json.loads(path.read_text())
        return Record(Process(**content["process"]), content["fingerprint"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def identify(pid: int) -> Process | None:
    """The process that has this pid now; None when there is none, or it is only waiting to be reaped."""
    try:
        # The name in parentheses may itself hold spaces and parentheses.
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return None
        raise
    start_ticks = numbers[18]
    return None if state in "ZX" else Process(pid, f"{_boot()}:{start_ticks}")


def spawn(argv: Sequence[str], *, log: Path, environment: dict[str, str] | None = None) -> Process:
    """Start a program that outlives us, its output appended to `log`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        tuple(argv),
        {**os.environ, **(environment or {})},
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    # One that ended at once has no start time left; it is then known to be dead.
    return identify(pid) or Process(pid, "ended")


def stop(process: Process, grace: float = STOP_GRACE_SECONDS) -> None:
    """End a process: politely first, then for certain; returns when it is gone."""
    process.signal(signal.SIGTERM)
    try:
        wait.until(lambda: _running(process), grace)
    except wait.StillWaiting:
        kill(process)


def kill(process: Process) -> None:
    """End a process at once; returns when it is gone."""
    process.signal(signal.SIGKILL)
    wait.until(lambda: _running(process), KILL_GRACE_SECONDS)


def age_seconds(process: Process) -> float:
    """How long a process has been running."""
    ticks = int(process.started.rpartition(":")[2])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _running(process: Process) -> str | None:
    return f"process {process.pid} is still running" if process.alive() else None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
