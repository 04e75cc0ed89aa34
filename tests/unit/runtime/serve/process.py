"""The server as a pod runs it: `python -m mainspring_runtime serve`, on ports that the kernel chooses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.unit.runtime.serve.artifact import Version


@dataclass
class Server:
    """A running process; what it logs is read line by line, so nothing has to be polled."""

    process: subprocess.Popen[str]
    port: int = 0
    internal_port: int = 0

    def wait_for(self, text: str) -> str:
        """The next line of the log that contains `text`."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"the server ended without {text!r}:\n{''.join(seen)}")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def metrics_url(self) -> str:
        return self.internal_url("/metrics")

    def internal_url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.internal_port}{path}"

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


def environment(version: Version, **others: str) -> dict[str, str]:
    return os.environ | {
        "MAINSPRING_MODEL_NAME": "tumours",
        "MAINSPRING_MODEL_VERSION": "3",
        "MAINSPRING_MODEL_URI": version.uri,
        "MAINSPRING_MODEL_DIGEST": version.digest,
        "MAINSPRING_PORT": "0",
        "MAINSPRING_INTERNAL_PORT": "0",
        **others,
    }


@contextmanager
def start(version: Version, work_dir: Path, **others: str) -> Iterator[Server]:
    """A server whose ports are open; it is killed at the end if it still runs."""
    command = [sys.executable, "-m", "mainspring_runtime", "serve", "--work-dir", str(work_dir)]
    with subprocess.Popen(
        command, env=environment(version, **others), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            server = Server(process)
            ports = re.search(
                r"ports (\d+) \(inference\) and (\d+) \(internal\)", server.wait_for("listening on ports")
            )
            assert ports is not None
            server.port, server.internal_port = int(ports[1]), int(ports[2])
            yield server
        finally:
            process.kill()
