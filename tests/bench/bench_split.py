"""What a split costs: requests that the stable server keeps, those that it forwards, and copies.

    python -m tests.bench.bench_split [--requests 4000] [--seconds 3] [--rounds 5]

Three servers on one core: one without a split, one that splits, and the candidate. First a client asks them one request
at a time, in turns, so whatever else the machine does meets all of them alike; the answers say which version they are of.
Then `wrk` with 16 connections compares a server without a split, with one that sends nothing, 5 %, and copies of 5 %.
Figures are printed, not asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httptools
import uvloop

from mainspring.api.contract import ServerEnv, as_json
from mainspring.api.splitting import SPLIT_KEY, Split
from tests.bench import table
from tests.bench.serving import bodies, machine, measuring, models, servers, wrk
from tests.bench.serving.report import below
from tests.bench.serving.results import Sample
from tests.bench.serving.servers import Server, Start
from tests.bench.serving.wrk import Request
from tests.cluster import packages

STABLE, CANDIDATE = "old", "new"
COHORT = {"x-cohort": "beta"}
VERSIONS = {b'"model_version":"1"': STABLE, b'"model_version":"2"': CANDIDATE}
WEIGHT = 5
ALONE, KEPT, FORWARDED, DIRECT = "without a split", "kept", "forwarded", "the candidate, asked directly"
SPLITS: dict[str, dict[str, int] | None] = {
    "no split": None,
    "a split of 0 %": {"weight": 0},
    f"a split of {WEIGHT} %": {"weight": WEIGHT},
    "a split of 100 %": {"weight": 100},
    f"copies of {WEIGHT} %": {"mirror": WEIGHT},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=4000, help="to each server, one at a time")
    parser.add_argument("--seconds", type=int, default=3, help="for each measurement with wrk")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    packages.ensure(packages.LOAD)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        stage = Stage(Path(directory), stack)
        show_latencies(uvloop.run(one_at_a_time(stage, arguments.requests)))
        show_load(stage.under_load(arguments.rounds, arguments.seconds), arguments.rounds)


class Stage:
    """The servers, all with the same model."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        made = models.make(models.LOGISTIC_BARE, below(root, "model"))
        self.request = bodies.tensor(made.table.iloc[[0]])
        self.candidate = self._start(root, stack, made.version, CANDIDATE, 2)
        self.alone = self._start(root, stack, made.version, "alone", 1)
        self.splits = {
            name: self._start(root, stack, made.version, f"split-{place}", 1) for place, name in enumerate(SPLITS)
        }
        self.root = root
        for place, fields in enumerate(SPLITS.values()):
            if fields is not None:
                self.apply(f"split-{place}", **fields)
        asyncio.run(asyncio.sleep(1.0))  # five looks at the file

    def _start(self, root: Path, stack: ExitStack, version: Any, name: str, number: int) -> Server:
        (root / name).mkdir()
        start: Start = servers.ours(version, below(root, f"{name}-work"))
        told: dict[str, str] = {
            ServerEnv.MODEL_VERSION: str(number),
            ServerEnv.REVISION: name,
            ServerEnv.SPLIT_DIR: str(root / name),
        }
        start = replace(start, environment={**start.environment, **told})
        return stack.enter_context(servers.running(start, root / f"{name}.log"))

    def apply(self, name: str, **fields: Any) -> None:
        split = Split(
            revision=name,
            rollout="bench",
            host="127.0.0.1",
            port=self.candidate.port,
            candidate_revision=CANDIDATE,
            match=COHORT,
            **fields,
        )
        (self.root / name / SPLIT_KEY).write_text(as_json(split))

    def under_load(self, rounds: int, seconds: int) -> dict[str, list[Sample]]:
        asked = [(server, self.request) for server in self.splits.values()]
        return dict(zip(self.splits, measuring.in_turns(asked, rounds, seconds), strict=True))


async def one_at_a_time(stage: Stage, requests: int) -> dict[str, list[float]]:
    """Seconds of each request by what became of it."""
    os.sched_setaffinity(0, {machine.cores()[1]})
    splitting = stage.splits[f"a split of {WEIGHT} %"]
    to_cohort = Request(stage.request.body, {**stage.request.headers, **COHORT})
    asked = [
        (ALONE, await connect(stage.alone, stage.request)),
        (KEPT, await connect(splitting, stage.request)),
        (FORWARDED, await connect(splitting, to_cohort)),
        (DIRECT, await connect(stage.candidate, stage.request)),
    ]
    found: dict[str, list[float]] = {name: [] for name, _ in asked}
    for _ in range(requests):
        for name, client in asked:
            seconds, version = await client.ask()
            found[FORWARDED if name is KEPT and version == CANDIDATE else name].append(seconds)
    return found


async def connect(server: Server, request: Request) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: Client(request), "127.0.0.1", server.port)
    return client


class Client(asyncio.Protocol):
    """One request at a time, on one connection."""

    def __init__(self, request: Request) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        head = f"POST {servers.INFER} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(request.body)}\r\n\r\n"
        self._content = head.encode() + request.body
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    async def ask(self) -> tuple[float, str]:
        """Seconds, and whose version answered."""
        self._body = b""
        self._answer = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._transport.write(self._content)
        seconds = await self._answer - started
        return seconds, next(name for mark, name in VERSIONS.items() if mark in self._body)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._answer.set_result(time.perf_counter())


def show_latencies(found: dict[str, list[float]]) -> None:
    against = {KEPT: ALONE, FORWARDED: DIRECT}
    rows = []
    for name, seconds in found.items():
        p50 = statistics.median(seconds)
        base = statistics.median(found[against[name]]) if name in against else None
        more = ("", "") if base is None else (f"{(p50 - base) * 1e6:+.0f} µs", f"{(p50 / base - 1) * 100:+.1f} %")
        quantiles = statistics.quantiles(seconds, n=100)
        rows.append((name, len(seconds), p50 * 1e6, quantiles[94] * 1e6, quantiles[98] * 1e6, *more))
    table.show(
        f"one row of 20 numbers, one request at a time, in turns (load now {machine.load():.1f})",
        ("", "requests", "p50 µs", "p95 µs", "p99 µs", "more", "by"),
        rows,
    )


def show_load(found: dict[str, list[Sample]], rounds: int) -> None:
    names = list(found)
    rows = []
    for name, samples in found.items():
        ratios = [mine.p50_ms / its.p50_ms for mine, its in zip(samples, found[names[0]], strict=True)]
        costs = [mine.cpu_us - its.cpu_us for mine, its in zip(samples, found[names[0]], strict=True)]
        figures = [
            statistics.median(getattr(sample, field) for sample in samples) for field in ("rate", "p50_ms", "cpu_us")
        ]
        rows.append((name, *figures, statistics.median(ratios), statistics.median(costs)))
    table.show(
        f"the same with {wrk.CONNECTIONS} connections, medians of {rounds} rounds (load now {machine.load():.1f})",
        ("", "requests/s", "p50 ms", "CPU µs/request", "× p50", "CPU µs more"),
        rows,
    )


if __name__ == "__main__":
    main()
