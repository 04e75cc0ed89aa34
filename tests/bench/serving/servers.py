"""Model servers as processes on one core: started, awaited, asked, ended."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.serving import machine, peers, results
from tests.bench.serving.models import Made
from tests.bench.serving.wrk import Request
from tests.cluster import command, wait
from tests.unit.runtime.serve import process as process_of_ours
from tests.unit.runtime.serve.artifact import Version

MODEL = "/v2/models/m"
INFER = f"{MODEL}/infer"
PATIENCE_SECONDS = 120.0
ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.01
END_SECONDS = 20.0
PLATFORMS = {results.ONNX: "onnxruntime_onnx", results.SKLEARN: "sklearn_skops"}


class NotStarted(Exception):
    """The message has the end of the server's log."""


class NotEqual(Exception):
    """The servers do not answer the same: comparing their speed would say nothing."""


@dataclass(frozen=True)
class Start:
    """How to start a server: the words to run, and what to add to the environment."""

    name: str
    words: Sequence[str]
    port: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Server:
    """One that is ready."""

    name: str
    pid: int
    port: int
    ready_seconds: float  # from the start of the process to the first answer that it is ready

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{INFER}"

    def ask(self, request: Request) -> dict[str, Any]:
        """The JSON of the answer. Raises `NotEqual` when it is none of 200."""
        status, content = exchange(self.port, "POST", INFER, request)
        if status != 200:
            raise NotEqual(f"{self.name} answers {status}: {content[:500].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(content)
        return found


def ours(version: Version, directory: Path, name: str = results.ONNX, **others: str) -> Start:
    """Everything on: the counters of the version's profile, and feedback."""
    port, internal = machine.free_ports(2)
    settings = {
        "MAINSPRING_MODEL_NAME": "m",
        "MAINSPRING_MODEL_VERSION": "1",
        "MAINSPRING_PORT": str(port),
        "MAINSPRING_INTERNAL_PORT": str(internal),
        "MAINSPRING_FEEDBACK_KEY": "k" * 32,
    }
    words = [sys.executable, "-m", "mainspring_runtime", "serve", "--work-dir", str(directory)]
    return Start(name, words, port, process_of_ours.environment(version, **settings, **others))


def kserve(made: Made, directory: Path) -> Start:
    [port] = machine.free_ports(1)
    words = peers.kserve(made.joblib, port, directory)
    return Start(results.KSERVE, words, port, {})


def mlserver(made: Made, directory: Path) -> Start:
    ports = machine.free_ports(3)
    words = peers.mlserver(made.joblib, ports, directory)
    return Start(results.MLSERVER, words, ports[0], {})


@contextmanager
def running(start: Start, log: Path) -> Iterator[Server]:
    """Until the end of the block. Raises `NotStarted`."""
    words = machine.pinned(start.words, machine.cores()[0])
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**others, **machine.ONE_THREAD, **start.environment}
    with log.open("w") as output:
        started = time.perf_counter()
        with subprocess.Popen(words, env=environment, stdout=output, stderr=output, start_new_session=True) as process:
            try:
                await_ready(process, start, log)
                yield Server(start.name, process.pid, start.port, time.perf_counter() - started)
            finally:
                end(process)


def await_ready(process: subprocess.Popen[bytes], start: Start, log: Path) -> None:
    def missing() -> str | None:
        if process.poll() is not None:
            raise NotStarted(f"{start.name} ended with {process.returncode}:\n{command.tail(log.read_text())}")
        try:
            status, _ = exchange(start.port, "GET", f"{MODEL}/ready")
        except (OSError, http.client.HTTPException) as error:
            return f"{start.name} does not listen: {error}"
        return None if status == 200 else f"{start.name} is not ready: {status}"

    try:
        wait.until(missing, PATIENCE_SECONDS, POLL_SECONDS)
    except wait.StillWaiting as error:
        raise NotStarted(f"{error}:\n{command.tail(log.read_text())}") from error


def exchange(port: int, method: str, path: str, request: Request | None = None) -> tuple[int, bytes]:
    """Status and body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        body, headers = (request.body, dict(request.headers)) if request else (None, {})
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """The process, and whatever it started."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def check_equal(servers: Sequence[Server], requests: Sequence[Request]) -> None:
    """All servers give the same labels for each of these requests. Raises `NotEqual`."""
    for number, request in enumerate(requests):
        answers = {server.name: labels(server.ask(request)) for server in servers}
        if len(set(map(tuple, answers.values()))) != 1:
            said = ", ".join(f"{name} {found}" for name, found in answers.items())
            raise NotEqual(f"labels differ for request {number}: {said}")


def check_path(server: Server) -> None:
    """One of ours answers by the path that its name says. Raises `NotEqual`."""
    platform = json.loads(exchange(server.port, "GET", MODEL)[1])["platform"]
    if platform != PLATFORMS[server.name]:
        raise NotEqual(f"{server.name} answers by {platform}")


def labels(answer: Mapping[str, Any]) -> list[int]:
    """The values of the first output, however they are nested."""
    return list(flat(answer["outputs"][0]["data"]))


def flat(values: Any) -> Iterator[Any]:
    if isinstance(values, list):
        for each in values:
            yield from flat(each)
    else:
        yield values
