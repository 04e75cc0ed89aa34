"""The operator as its container runs it: a process of its own, known by its environment, its port and its signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import config, wait

READY_SECONDS = 30.0
STOP_SECONDS = 20.0  # well before the 30 s are over that the chart gives its pod
ANSWER_SECONDS = 5.0
RELEASE = "wiring"
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def environment(kubeconfig: Path, namespace: str, port: int, settings: Mapping[str, str]) -> dict[str, str]:
    """What the chart would set. The store is the user's own, so that none is needed."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAINSPRING_")}
    return {
        **inherited,
        "KUBECONFIG": str(kubeconfig),
        "MAINSPRING_RUNTIME_IMAGE": "example/runtime:1",
        "MAINSPRING_JOBS_IMAGE": "example/jobs:1",
        "MAINSPRING_NAMESPACE": namespace,
        "MAINSPRING_RELEASE": RELEASE,
        "MAINSPRING_ARTIFACTS_URI": "s3://example",
        "MAINSPRING_PROBES_PORT": str(port),
        **settings,
    }


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels."""
        wanted = labels.items()
        return sum(s.value for s in self._samples if s.name == name and wanted <= s.labels.items())

    def tells(self, sample: str, /, **labels: str) -> bool:
        """There is a sample of that name that has these labels."""
        return any(s.name == sample and labels.items() <= s.labels.items() for s in self._samples)

    def requests(self, *verbs: str, **labels: str) -> int:
        """Requests to the API server with one of these verbs."""
        return int(sum(self.total("mainspring_api_requests_total", verb=verb, **labels) for verb in verbs))

    def writes(self) -> int:
        """Every request that could change something, but for those on the Lease."""
        return self.requests(*WRITES) - self.requests(*WRITES, resource="Lease")


class Operator:
    """Started at once; `stop` or `kill` ends it."""

    def __init__(self, kubeconfig: Path, namespace: str, log: Path, **settings: str) -> None:
        self._held = ExitStack()
        (self.port,) = self._held.enter_context(config.reserved_ports(1))
        self.log = log
        command = [sys.executable, "-m", "mainspring"]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env=environment(kubeconfig, namespace, self.port, settings),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def answer(self, path: str) -> tuple[int, str]:
        """HTTP status and text of a page of its port; 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            return 0, str(error)

    def is_ready(self) -> bool:
        return self.answer("/readyz")[0] == 200

    def metrics(self) -> Metrics:
        status, text = self.answer("/metrics")
        assert status == 200, f"/metrics answers {status}: {text}\n{self.told()}"
        return Metrics(text)

    def leads(self) -> bool:
        """It holds the Lease. False also while it starts."""
        status, text = self.answer("/metrics")
        return status == 200 and Metrics(text).total("mainspring_leading") == 1

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        wait.until(lambda: None if self.is_ready() else self._why("is not ready"), seconds)

    def await_leading(self, seconds: float = READY_SECONDS) -> None:
        """It holds the Lease, and its cache is full: it works."""
        wait.until(lambda: None if self.leads() and self.is_ready() else self._why("does not lead"), seconds)

    def told(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def terminate(self) -> int:
        """SIGTERM, as a kubelet sends; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def end(self) -> None:
        """However it stands."""
        if self.process.poll() is None:
            self.kill()
        self._held.close()

    def _why(self, what: str) -> str:
        code = self.process.poll()
        assert code is None, f"the operator ended with {code}:\n{self.told()}"
        return f"the operator {what}; its log:\n{self.told()}"
