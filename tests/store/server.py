"""How tests reach the S3 server."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster import tools, wait

START_LIMIT_SECONDS = 30.0


@dataclass(frozen=True)
class S3:
    """Address, account, and the directory whose directories are the buckets."""

    url: str
    key: str
    secret: str
    root: Path

    def environment(self) -> dict[str, str]:
        """As in the Secret `mainspring-artifacts`."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def wait_until_it_answers(self) -> None:
        """Any answer will do. Raises `wait.StillWaiting`."""
        wait.until(self._missing, START_LIMIT_SECONDS)

    def _missing(self) -> str | None:
        try:
            httpx.get(self.url)
        except httpx.TransportError as error:
            return f"{self.url} to answer: {error}"
        return None


@contextmanager
def running(server: S3, arguments: Sequence[str], log: Path) -> Iterator[S3]:
    """The program with these arguments and the server's account as its root, until the end of the block."""
    environment = {**os.environ, "ROOT_ACCESS_KEY": server.key, "ROOT_SECRET_KEY": server.secret}
    with log.open("wb") as output:
        command = [str(tools.tool("versitygw")), *arguments]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        server.wait_until_it_answers()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
