"""What serving costs beyond HTTP itself: the model server against a bare ASGI application on the same uvicorn.

    python -m tests.bench.bench_serve [--seconds 3] [--rounds 3]

One row of 20 numbers a request, 16 connections, server on one core and caller on another. Each round measures the bare
application and every model, one after the other, so that a busy machine slows all of them; the ratio is the median over
the rounds. CPU time is the honest column: requests per second also depend on the caller (`wrk` when it is installed, an
asyncio client of ours otherwise). Figures are printed, not asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from sklearn.datasets import load_breast_cancer

from mainspring_runtime.serve.http import Receive, Response, Scope, Send, respond
from tests.unit.runtime.serve import artifact
from tests.unit.runtime.train import prepared_data

CONNECTIONS = 16
FEATURES = 20
PATH = "/v2/models/m/infer"
CONSTANT = (
    b'{"model_name":"m","model_version":"1","outputs":[{"name":"predict","datatype":"BYTES","shape":[1],"data":["B"]}]}'
)
MODELS: dict[str, dict[str, Any]] = {
    "logistic regression": {"class": "sklearn.linear_model.LogisticRegression"},
    "random forest of 100 trees": {"class": "sklearn.ensemble.RandomForestClassifier"},
    "histogram boosting": {"class": "sklearn.ensemble.HistGradientBoostingClassifier"},
}


@dataclass
class Target:
    """A server to measure, with the body to send, and what was measured."""

    name: str
    port: int
    pid: int
    body: bytes
    rates: list[float] = field(default_factory=list)  # requests per second
    costs: list[float] = field(default_factory=list)  # microseconds of CPU per request


def main() -> None:
    """Measure and print."""
    if sys.argv[1:] == ["--bare"]:
        serve_bare()
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        targets = [stack.enter_context(bare()), *models(Path(directory), stack)]
        pin(0, last=True)
        for _ in range(arguments.rounds):
            for target in targets:
                measure(target, arguments.seconds)
        print_table(targets)


def print_table(targets: Sequence[Target]) -> None:
    print(f"{'':46}{'requests/s':>12}{'CPU µs/request':>16}{'× bare':>8}")
    for target in targets:
        ratio = statistics.median(
            cost / bare_cost for cost, bare_cost in zip(target.costs, targets[0].costs, strict=True)
        )
        print(
            f"{target.name:46}{statistics.median(target.rates):12.0f}{statistics.median(target.costs):16.1f}{ratio:8.2f}"
        )


def bodies() -> dict[str, bytes]:
    """The same row in both forms that a table may have."""
    row = [round(10 + index * 1.37, 2) for index in range(FEATURES)]
    columns = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in zip(feature_names(), row, strict=True)
    ]
    return {
        "one tensor": json.dumps(
            {"inputs": [{"name": "x", "shape": [1, FEATURES], "datatype": "FP64", "data": row}]}
        ).encode(),
        f"{FEATURES} columns": json.dumps({"inputs": columns}).encode(),
    }


def feature_names() -> list[str]:
    return [name.replace(" ", "_") for name in load_breast_cancer().feature_names[:FEATURES]]


@contextmanager
def bare() -> Iterator[Target]:
    """The limit: reads the body, answers a constant."""
    command = pinned([sys.executable, "-m", "tests.bench.bench_serve", "--bare"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Target("bare ASGI application", int(process.stdout.readline()), process.pid, bodies()["one tensor"])
        process.kill()


def serve_bare() -> None:
    """Run in a process of its own: the listener of the server with an application that does nothing."""
    from mainspring_runtime.serve.listener import Listener, bind
    from mainspring_runtime.serve.settings import Limits

    async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await respond(send, Response(200, CONSTANT), close=False)

    async def run() -> None:
        listener = Listener(answer, bind(0), Limits())
        print(listener.port, flush=True)
        await listener.listen()

    uvloop.run(run())


def models(directory: Path, stack: ExitStack) -> Iterator[Target]:
    """One server for each model; the first is also asked column by column."""
    dataset = prepared_data.breast_cancer(directory / "dataset", features=feature_names())
    for index, (name, estimator) in enumerate(MODELS.items()):
        root = directory / str(index)
        root.mkdir()
        version = artifact.train(dataset, root, "diagnosis", estimator)
        started = time.perf_counter()
        process, port, path = stack.enter_context(model_server(version, root / "served"))
        print(f"{name}: ready in {time.perf_counter() - started:.2f} s on path {path}")
        for form, body in bodies().items() if index == 0 else [next(iter(bodies().items()))]:
            yield Target(f"{name}, {form}", port, process.pid, body)


@contextmanager
def model_server(version: artifact.Version, work_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A server that is ready: its process, its port and the path that predicts."""
    environment = os.environ | {
        "MAINSPRING_MODEL_NAME": "m",
        "MAINSPRING_MODEL_VERSION": "1",
        "MAINSPRING_MODEL_URI": version.uri,
        "MAINSPRING_MODEL_DIGEST": version.digest,
        "MAINSPRING_PORT": "0",
        "MAINSPRING_INTERNAL_PORT": "0",
    }
    command = pinned([sys.executable, "-m", "mainspring_runtime", "serve", "--work-dir", str(work_dir)])
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = ""
        while not log.endswith(" ready\n"):
            log += process.stderr.readline()
        port, path = re.search(r"ports (\d+)", log), re.search(r"by path (\w+)", log)
        assert port is not None
        assert path is not None
        yield process, int(port[1]), path[1]
        process.kill()


def pinned(command: list[str]) -> list[str]:
    """On the first core, from the start: threads inherit it."""
    return ["taskset", "-c", "0", *command] if shutil.which("taskset") and len(os.sched_getaffinity(0)) > 1 else command


def pin(pid: int, *, last: bool) -> None:
    cores = sorted(os.sched_getaffinity(pid))
    os.sched_setaffinity(pid, {cores[-1] if last else cores[0]})


def measure(target: Target, seconds: float) -> None:
    before = cpu_seconds(target.pid)
    count = run_wrk(target, seconds) if shutil.which("wrk") else uvloop.run(run_clients(target, seconds))
    target.rates.append(count / seconds)
    target.costs.append((cpu_seconds(target.pid) - before) / count * 1e6)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_wrk(target: Target, seconds: float) -> int:
    """Requests answered by 200 within the time."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[{target.body.decode()}]]\n'
        )
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{max(1, round(seconds))}s",
            "-s",
            script.name,
            f"http://127.0.0.1:{target.port}{PATH}",
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in output, output
    found = re.search(r"(\d+) requests in", output)
    assert found is not None
    return int(found[1])


async def run_clients(target: Target, seconds: float) -> int:
    head = f"POST {PATH} HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: {len(target.body)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    clients = [Client(head.encode() + target.body, loop.time() + seconds) for _ in range(CONNECTIONS)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", target.port)  # type: ignore[misc]
    await asyncio.gather(*(client.done for client in clients))
    return sum(client.answered for client in clients)


class Client(asyncio.Protocol):
    """Sends the same request again as soon as it is answered; cheap, so that the server is what is measured."""

    def __init__(self, request: bytes, until: float) -> None:
        self.answered = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        assert head.startswith(b"HTTP/1.1 200"), self._received
        self._received = b""
        self.answered += 1
        if self.done.get_loop().time() < self._until:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


if __name__ == "__main__":
    main()
