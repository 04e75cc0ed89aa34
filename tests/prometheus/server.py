"""How tests reach a Prometheus of their own: Debian's, on this machine, with the configuration that the test gives."""

from __future__ import annotations

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
# Finer than any interval of scraping and of evaluation here: an alert may have fired for one evaluation only, which
# steps of a second pass over.
STEP_SECONDS = 0.1


@dataclass(frozen=True)
class Prometheus:
    """Its address, like `http://127.0.0.1:40001`, and when it was started, in seconds since 1970."""

    url: str
    started: float = field(default_factory=time.time)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query, each with `metric` and `value`. Raises `AssertionError` with its message."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer['error']}"
        return list(answer["data"]["result"])

    def history(self, expression: str) -> list[dict[str, Any]]:
        """The series since the start, ten values a second, each with `metric` and `values`: [time, text]."""
        asked: dict[str, str | float] = {
            "query": expression,
            "start": self.started,
            "end": time.time(),
            "step": STEP_SECONDS,
        }
        answer = httpx.get(f"{self.url}/api/v1/query_range", params=asked).json()
        assert answer["status"] == "success", f"{expression}: {answer['error']}"
        return list(answer["data"]["result"])

    def get(self, path: str) -> Any:
        """The data of another page of its API, like `rules`."""
        answer = httpx.get(f"{self.url}/api/v1/{path}").raise_for_status().json()
        return answer["data"]

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
    (port,) = config.free_ports(1)
    found = Prometheus(f"http://127.0.0.1:{port}")
    (directory / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
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
