"""How tests reach a Prometheus of their own: Debian's, on this machine, with the configuration that the test gives."""

from __future__ import annotations

import math
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster import config, wait

START_LIMIT_SECONDS = 30.0
ANSWER_LIMIT_SECONDS = 60.0
# Finer than any interval of scraping and of evaluation here: a value may have been there for one of them only.
STEP_SECONDS = 0.1


@dataclass(frozen=True)
class Prometheus:
    """Its address, like `http://127.0.0.1:40001`, and when it was started, in seconds since 1970."""

    url: str
    started: float = field(default_factory=time.time)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query, each with `metric` and `value`. Raises `AssertionError` with its message."""
        return self._asked("query", {"query": expression})

    def ever(self, selector: str) -> list[dict[str, Any]]:
        """The series that had a value at any time since the start, each with the last one, however short it was there."""
        seconds = math.ceil(time.time() - self.started) + 1
        return self._asked("query", {"query": f"last_over_time({selector}[{seconds}s])"})

    def history(self, expression: str) -> list[dict[str, Any]]:
        """The series since the start, ten values a second, each with `metric` and `values`: [time, text]."""
        asked: dict[str, str | float] = {
            "query": expression,
            "start": self.started,
            "end": time.time(),
            "step": STEP_SECONDS,
        }
        return self._asked("query_range", asked)

    def get(self, path: str) -> Any:
        """The data of another page of its API, like `rules`."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", timeout=ANSWER_LIMIT_SECONDS).raise_for_status().json()
        return answer["data"]

    def _asked(self, page: str, question: dict[str, str | float]) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/{page}"
        answer = httpx.get(url, params=question, timeout=ANSWER_LIMIT_SECONDS).json()
        assert answer["status"] == "success", f"{question['query']}: {answer['error']}"
        return list(answer["data"]["result"])

    def wait_until_ready(self) -> None:
        """Raises `wait.StillWaiting`."""
        wait.until(self._missing, START_LIMIT_SECONDS)

    def _missing(self) -> str | None:
        try:
            status = httpx.get(f"{self.url}/-/ready").status_code
        except httpx.TransportError as error:
            return f"{self.url} to be ready: {error}"
        return None if status == 200 else f"{self.url} to be ready: it answers {status}"


@contextmanager
def running(configuration: Mapping[str, Any], directory: Path) -> Iterator[Prometheus]:
    """A server with an empty database in `directory`, until the end of the block. It is configured as `prometheus.yml`."""
    (directory / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
    with config.reserved_ports(1) as (port,):
        yield from _running(port, directory)


def _running(port: int, directory: Path) -> Iterator[Prometheus]:
    found = Prometheus(f"http://127.0.0.1:{port}")
    command = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "prometheus.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        found.wait_until_ready()
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
