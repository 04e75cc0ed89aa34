"""One round of one server: requests, latency and CPU time."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.serving import machine, wrk
from tests.bench.serving.results import Sample
from tests.bench.serving.servers import Server
from tests.bench.serving.wrk import Request

WARM_UP_SECONDS = 1


def measure(server: Server, request: Request, seconds: int, connections: int = wrk.CONNECTIONS) -> Sample:
    """Raises `NotAnswered` when any answer was an error."""
    before = machine.cpu_seconds(server.pid)
    answers = wrk.run(server.url, request, seconds, connections)
    spent = machine.cpu_seconds(server.pid) - before
    return Sample(answers.rate, answers.p50_ms, answers.p99_ms, spent / answers.requests * 1e6)


def in_turns(
    asked: Sequence[tuple[Server, Request]], rounds: int, seconds: int, connections: int = wrk.CONNECTIONS
) -> list[list[Sample]]:
    """Rounds for each, one after the other, after a short warm-up."""
    for server, request in asked:
        wrk.run(server.url, request, WARM_UP_SECONDS, connections)
    taken: list[list[Sample]] = [[] for _ in asked]
    for _ in range(rounds):
        for (server, request), samples in zip(asked, taken, strict=True):
            samples.append(measure(server, request, seconds, connections))
    return taken
