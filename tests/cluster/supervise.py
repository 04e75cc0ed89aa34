"""Components: started when they do not run, restarted when what they run with has changed, awaited until ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import command, hashing, process, wait
from tests.cluster.config import Cluster
from tests.cluster.errors import ComponentFailed
from tests.cluster.progress import say

READY_SECONDS = 90.0
LOG_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class Component:
    """A program that runs in the background."""

    name: str
    argv: tuple[str, ...]
    ready: wait.Check
    reads: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """Changes when the component has to be restarted."""
        return hashing.key(*self.argv, *(path.read_text() for path in self.reads))


def ensure(cluster: Cluster, components: Sequence[Component]) -> None:
    """Have all of them running as described, and ready."""
    for component in components:
        _start(cluster, component)
    for component in components:
        _await(cluster, component)


def running(cluster: Cluster, name: str) -> process.Process | None:
    """The process of a component, if it is alive."""
    record = process.read(cluster.record(name))
    return record.process if record and record.process.alive() else None


def recorded(cluster: Cluster) -> list[str]:
    """The components that have ever been started in this state directory."""
    return sorted(path.stem for path in (cluster.state / "run").glob("*.json"))


def stop(cluster: Cluster, name: str, grace: float = process.STOP_GRACE_SECONDS) -> None:
    """End a component, if it runs."""
    alive = running(cluster, name)
    if alive:
        process.stop(alive, grace)
    cluster.record(name).unlink(missing_ok=True)


def log_tail(cluster: Cluster, name: str) -> str:
    """The end of a component's log."""
    path = cluster.log(name)
    if not path.is_file():
        return "    (no log)"
    return command.tail(path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace"))


def _start(cluster: Cluster, component: Component) -> None:
    fingerprint = component.fingerprint()
    record = process.read(cluster.record(component.name))
    if record and record.process.alive():
        if record.fingerprint == fingerprint:
            return
        say(f"restarting {component.name}: its configuration has changed")
        process.stop(record.process)
    else:
        say(f"starting {component.name}")
    started = process.spawn(component.argv, log=cluster.log(component.name))
    process.Record(started, fingerprint).write(cluster.record(component.name))


def _await(cluster: Cluster, component: Component) -> None:
    try:
        wait.until(lambda: _missing(cluster, component), READY_SECONDS)
    except wait.StillWaiting as error:
        raise _failure(cluster, component, f"did not become ready in {READY_SECONDS:.0f} s: {error}") from error


def _missing(cluster: Cluster, component: Component) -> str | None:
    if running(cluster, component.name) is None:
        raise _failure(cluster, component, "ended")
    return component.ready()


def _failure(cluster: Cluster, component: Component, what: str) -> ComponentFailed:
    log = cluster.log(component.name)
    return ComponentFailed(f"{component.name} {what}\n  the end of {log}:\n{log_tail(cluster, component.name)}")
