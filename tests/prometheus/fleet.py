"""What a Prometheus sees of an installation: the operator's metrics through a whole story, and a real model server.

The operator's code runs on the simulated API server of tests/sim, so that its metrics are told from statuses that it wrote
itself; the page is the text that its `/metrics` would give. The server is a process with a trained model. Prometheus
scrapes both with the configuration that the guide shows, where only the discovery of pods is replaced by a list.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import prometheus_client
import yaml

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.controllers.objectmetrics import COLLECTOR
from mainspring.engine import metrics
from mainspring.engine.informer import Intake
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from mainspring.plan.inferenceservice import figures as service_figures
from mainspring.plan.inferenceservice.observed import Observed
from mainspring.plan.modelmonitor import figures
from tests import builders
from tests.chart import rendering
from tests.cluster import wait
from tests.prometheus import server as prometheus
from tests.prometheus.server import Prometheus
from tests.sim import stories
from tests.sim.simulation import Simulation
from tests.unit.runtime.serve import process
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.serve.process import Server

GUIDE = rendering.REPOSITORY / "docs" / "guides" / "metrics.md"
ALERTS = rendering.CHART / "monitoring" / "alerts.yaml"
PATIENCE_SECONDS = 30.0
INTERVAL = "500ms"
SERVICE = "tumours"  # of the simulation; the server's pod is said to be its
REQUESTS = 40
KEY = "a key of the tests, long enough"
# What callers send: what is missing, was never seen, is out of range, or comes in another datatype.
ROW: dict[str, tuple[str, Any]] = {
    "amount": ("FP64", 31.5),
    "visits": ("INT64", 2),
    "epoch": ("INT64", 1_700_000_100),
    "stage": ("BYTES", "II"),
    "city": ("BYTES", "city-001"),
}
ODD = ROW | {"amount": ("INT64", 10**9), "city": ("BYTES", "Atlantis")}
# A rollout that goes on, and one that a person aborted, which is no reason to alert.
REVISIONS = {"version": "tumours-v2", "revision": "bbb", "cause": "Spec"}
ROLLOUT = {
    **REVISIONS,
    "fromVersion": "tumours-v1",
    "fromRevision": "aaa",
    "strategy": "Canary",
    "phase": "Stepping",
    "weight": 25,
    "startedAt": builders.at(0),
    "metrics": [
        {"name": "ErrorRate", "verdict": "Inconclusive", "stable": 0.0, "candidate": 0.1, "requests": 9, "needed": 990}
    ],
}
HELD_BACK = {**REVISIONS, "outcome": "Aborted", "reason": "Aborted", "message": "aborted", "time": builders.at(9)}
ENDED = {
    "version": "tumours-v2",
    "revision": "bbb",
    "outcome": "Aborted",
    "startedAt": builders.at(0),
    "time": builders.at(9),
}
OF_ROLLOUTS = {
    *service_figures.FAMILIES[service_figures.FAMILIES.index(service_figures.HELD_BACK) :],
    service_figures.LAST_ROLLOUT_TIME,
}


class Page:
    """Serves a text that is changed now and then."""

    def __init__(self) -> None:
        self.text = b""
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", prometheus_client.CONTENT_TYPE_LATEST)
                self.end_headers()
                self.wfile.write(page.text)

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def scrape_configuration(targets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """That of the guide, over these targets, each with what the discovery of pods would say of it."""
    blocks = re.findall(r"```yaml\n(scrape_configs:.*?)```", GUIDE.read_text(), re.DOTALL)
    (shown,) = (yaml.safe_load(block) for block in blocks)
    (job,) = shown["scrape_configs"]
    del job["kubernetes_sd_configs"]
    found = [{"targets": [target], "labels": dict(labels)} for target, labels in targets.items()]
    every = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL}
    return {
        "global": every,
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{**job, "static_configs": found}],
    }


def discovered(namespace: str, pod: str, port: int, **labels: str) -> dict[str, str]:
    """Labels of a target before relabelling. Its address has a port of its own, as each container port is a target."""
    return {
        "__meta_kubernetes_namespace": namespace,
        "__meta_kubernetes_pod_name": pod,
        "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
        "__meta_kubernetes_pod_annotation_prometheus_io_port": str(port),
        "__meta_kubernetes_pod_annotation_prometheus_io_path": "/metrics",
        **{f"__meta_kubernetes_pod_label_{key}": value for key, value in labels.items()},
    }


@dataclass
class Fleet:
    prometheus: Prometheus
    server: Server
    page: Page
    sim: Simulation
    _store: Store = field(default_factory=Store)

    def tell(self) -> None:
        """Traffic and a story, one chapter after the other, each once Prometheus has seen the one before."""
        self.server.wait_for("ready")
        self.sim.apply(builders.monitor(), builders.model("mistyped", aliases={"champion": "mistyped-v9"}))
        self.sim.advance(400)
        self._publish()
        self._traffic()
        self._await(f"sum(mainspring_requests_total) >= {REQUESTS}")
        self._await('mainspring_drift_detected{monitor="tumours"} == 0')
        self.sim.workloads.traffic.change(self.sim.server)
        self.sim.advance(400)
        self._publish()
        self._traffic()
        self._await('mainspring_retrain_decision{monitor="tumours",reason=~"WaitingForLabels|RefreshingData"}')
        for alert in ("MainspringDriftDetected", "MainspringPerformanceDegraded"):
            self._await(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')
        self._recover()
        self._publish()
        self._traffic()
        self._await('mainspring_performance_degraded{monitor="tumours"} == 0')
        self._await(f"sum(mainspring_requests_total) >= {3 * REQUESTS}")
        stories.pin("tumours-v1")(self.sim)
        self.sim.settle()
        self._publish()
        self._await("mainspring_rollbacks_total == 1")

    def _recover(self) -> None:
        """New data teaches a version that knows the change."""
        self.sim.workloads.traffic.versions_that_know.add("tumours-v2")
        self.sim.workloads.runtime.content["tumours"] = "2"
        self.sim.advance(1500)

    def _publish(self) -> None:
        """As the operator's `/metrics` would say it now."""
        intake = Intake(self._store, lambda obj: None)
        for kind in BY_KIND:
            for obj in self.sim.server.select(kind):
                intake.change(obj)
        metrics.LEADING.set(1)
        self._estimate()
        self._roll_out()
        self.page.text = prometheus_client.generate_latest()

    def _estimate(self) -> None:
        """The simulated servers have no calibrated probabilities, so the estimate is added to what the monitor says."""
        monitor = self.sim.get("ModelMonitor", "tumours")
        status = objects.status(monitor)
        told = {**status.get("performance", {}), "estimated": 0.9, "estimatedLower": 0.85, "estimatedUpper": 0.95}
        spec = ModelMonitorSpec.model_validate(objects.spec(monitor))
        of = objects.ref(monitor)
        COLLECTOR.tell(of, figures.figures_of(of, spec, {**status, "performance": told}))

    def _roll_out(self) -> None:
        """Services of the story change at once: what a rollout would say is added to what they say."""
        told = {"rollout": ROLLOUT, "heldBack": HELD_BACK, "rollouts": [ENDED]}
        service = builders.stored(builders.service(), told)
        observed = Observed(
            object=service,
            spec=InferenceServiceSpec.model_validate(objects.spec(service)),
            settings=builders.SETTINGS,
        )
        figures = service_figures.figures_of(observed, objects.status(service))
        COLLECTOR.tell(Ref("Rollout", "lab", SERVICE), [f for f in figures if f.family in OF_ROLLOUTS])

    def _traffic(self) -> None:
        """Predictions, and labels for them."""
        with httpx.Client() as client:
            for number in range(REQUESTS):
                row = ODD if number % 4 == 0 else ROW
                body = {"inputs": _tensors(row), "outputs": [{"name": "feedback_token"}]}
                answer = client.post(self.server.url("/v2/models/tumours/infer"), content=json.dumps(body))
                (token,) = answer.raise_for_status().json()["outputs"][0]["data"]
                label = {"token": token, "label": "yes" if number % 3 else "no"}
                sent = client.post(self.server.url("/v2/models/tumours/feedback"), json={"feedback": [label]})
                sent.raise_for_status()

    def await_none(self, expression: str) -> None:
        """Until there is no such series: an alert ends with an evaluation that comes after the scrape."""
        wait.until(lambda: str(self.prometheus.query(expression) or "") or None, PATIENCE_SECONDS)

    def _await(self, expression: str) -> None:
        def missing() -> str | None:
            return None if self.prometheus.query(expression) else f"nothing yet: {expression}"

        wait.until(missing, PATIENCE_SECONDS)


def _tensors(row: Mapping[str, tuple[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [1], "datatype": datatype, "data": [value]} for name, (datatype, value) in row.items()
    ]


@contextmanager
def started(version: Version, root: Path) -> Iterator[Fleet]:
    """Everything runs; nothing has happened yet."""
    page, sim = Page(), stories.served()
    try:
        with process.start(version, root / "work", MAINSPRING_FEEDBACK_KEY=KEY) as server:
            operator = discovered("mainspring-system", "mainspring-0", page.port)
            pod = discovered("lab", "tumours-0", server.internal_port, mainspring_dev_inference_service=SERVICE)
            targets = {"127.0.0.1:1": operator, f"127.0.0.1:{server.port}": pod}
            with prometheus.running(scrape_configuration(targets), root) as found:
                yield Fleet(found, server, page, sim)
    finally:
        page.close()
        sim.close()
