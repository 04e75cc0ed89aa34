"""Counts by a real Prometheus equal those of the servers themselves, to the row: two pods, one of them restarted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from mainspring.api.monitoring import Snapshot
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.api.v1alpha1.modelmonitor import Prometheus as Source
from mainspring.controllers.scraping import Scraping
from mainspring.kube.outgoing import Outgoing
from mainspring.kube.prometheus import HttpPrometheus, Refused
from mainspring.kube.servers import HttpServers
from mainspring.plan.common.objects import Ref
from mainspring.plan.modelmonitor import windows
from mainspring.plan.modelmonitor.observed import Reading
from mainspring.plan.modelmonitor.promql import Selection
from mainspring.plan.modelmonitor.state import State
from mainspring.plan.statistics import counts
from mainspring.plan.statistics.counts import WindowCounts
from tests.cluster import config, wait
from tests.prometheus import server as prometheus
from tests.prometheus.server import Prometheus
from tests.unit.runtime.serve import artifact, process
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.train import prepared_data

LIMIT_SECONDS = 60.0
SELECTION = Selection("lab", "tumours-0123abcd", "tumours", "3", {"cluster": "a"})
PODS = ("tumours-0123abcd-x-1", "tumours-0123abcd-x-2")
MONITOR = Ref("ModelMonitor", "lab", "tumours")
SPEC = ModelMonitorSpec(service="tumours")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
INFER, FEEDBACK = "/v2/models/tumours/infer", "/v2/models/tumours/feedback"
ROWS: dict[str, tuple[str, list[Any]]] = {
    "amount": ("FP64", [31.5, 1e9, 2.0]),
    "visits": ("INT64", [2, 3, 400]),
    "epoch": ("INT64", [1_700_000_100, 1_700_000_200, 1]),
    "smoker": ("BOOL", [True, False, True]),
    "stage": ("BYTES", ["II", "never seen", "I"]),
    "city": ("BYTES", ["city-001", "city-002", ""]),
    "admitted": ("BYTES", ["2024-02-03T04:05:06Z", "2034-02-03T04:05:06Z", ""]),
}


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("version")
    return artifact.train(prepared_data.mixed(root / "dataset", rows=400), root, "outcome")


@dataclass
class Pods:
    """Two servers, each at addresses that it keeps over a restart."""

    version: Version
    directory: Path
    ports: dict[str, tuple[int, int]]
    running: dict[str, ExitStack] = field(default_factory=dict)
    servers: dict[str, process.Server] = field(default_factory=dict)

    def start(self, pod: str) -> None:
        port, internal = self.ports[pod]
        stack = self.running[pod] = ExitStack()
        facts = {"MAINSPRING_PORT": str(port), "MAINSPRING_INTERNAL_PORT": str(internal)}
        work = self.directory / f"{pod}-{time.monotonic_ns()}"
        key = "a key of the tests, long enough"
        found = stack.enter_context(process.start(self.version, work, MAINSPRING_FEEDBACK_KEY=key, **facts))
        found.wait_for("ready")
        self.servers[pod] = found

    def kill(self, pod: str) -> None:
        self.running.pop(pod).close()

    def use(self, pod: str, times: int, labels: bool = True) -> None:
        """Three rows each time, with a label for each of them."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.ports[pod][0]}") as client:
            for _ in range(times):
                inputs = [{"name": n, "shape": [3], "datatype": d, "data": v} for n, (d, v) in ROWS.items()]
                body = {"inputs": inputs, "outputs": [{"name": "predict"}, {"name": "feedback_token"}]}
                answer = client.post(INFER, json=body).raise_for_status().json()
                predicted, tokens = (output["data"] for output in answer["outputs"])
                told = [{"token": t, "label": predicted[0]} for t in tokens] + [{"token": "forged", "label": "x"}]
                if labels:
                    client.post(FEEDBACK, json={"feedback": told}).raise_for_status()


@dataclass
class World:
    pods: Pods
    scraper: Prometheus
    scraping: Scraping
    direct: HttpServers

    async def snapshots(self, *pods: str) -> dict[str, Snapshot]:
        """As `source: Direct` reads them."""
        return {pod: await self.direct.snapshot(f"127.0.0.1:{self.pods.ports[pod][1]}") for pod in pods}

    async def read(self, *pods: str, state: State | None = None) -> Reading:
        source = Source(url=self.scraper.url)
        return await self.scraping.read(MONITOR, source, SELECTION, pods, state.seen if state else {})

    def wait_until_scraped(self, said: dict[str, Snapshot]) -> None:
        """Until both jobs of Prometheus know as many rows and labels as the servers do."""
        for pod, snapshot in said.items():
            assert snapshot.feedback is not None
            feedback = snapshot.feedback.rows + snapshot.feedback.refused
            for name, count in (("rows", snapshot.rows), ("feedback", feedback)):
                self.wait_for(f'min(sum by (job) (mainspring_{name}_total{{pod="{pod}"}})) == {count}')

    def wait_for(self, expression: str) -> None:
        wait.until(lambda: None if self.scraper.query(expression) else expression, LIMIT_SECONDS)


@pytest.fixture
async def world(version: Version, tmp_path: Path) -> AsyncIterator[World]:
    async with serving(version, tmp_path) as found:
        yield found


@asynccontextmanager
async def serving(version: Version, directory: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        ports = stack.enter_context(config.reserved_ports(4))
        pods = Pods(version, directory, {PODS[0]: (ports[0], ports[1]), PODS[1]: (ports[2], ports[3])})
        for pod in PODS:
            pods.start(pod)
            stack.callback(lambda pod=pod: pods.running.pop(pod, ExitStack()).close())
        scraper = stack.enter_context(prometheus.running(configuration(pods), directory))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        requests = Outgoing(local=True)
        stack.push_async_callback(requests.close)
        yield World(pods, scraper, Scraping(HttpPrometheus(requests)), HttpServers(session))


def configuration(pods: Pods) -> dict[str, Any]:
    """Labels as a PodMonitor, or kubernetes_sd with the relabeling of the guide, gives them; each pod by two jobs."""
    targets = [
        {"targets": [f"127.0.0.1:{internal}"], "labels": {"namespace": "lab", "pod": pod, "cluster": "a"}}
        for pod, (_, internal) in pods.ports.items()
    ]
    often = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return {"scrape_configs": [{"job_name": job, "static_configs": targets, **often} for job in ("pods", "twice")]}


def known(found: WindowCounts | None) -> dict[str, Any]:
    """Without what Prometheus has not: the order of columns and of categories."""
    assert found is not None
    columns = sorted(found.columns, key=lambda column: column.name)
    told = found.model_dump(exclude={"digest", "columns"})
    return told | {"columns": [c.model_dump() | {"counts": sorted(c.counts)} for c in columns]}


async def test_windows_by_prometheus_are_those_of_the_servers_over_a_restart(world: World) -> None:
    pods = world.pods
    for pod, times in zip(PODS, (3, 5), strict=True):
        pods.use(pod, times)
    first = await world.snapshots(*PODS)
    world.wait_until_scraped(first)
    begun = await world.read(*PODS)
    assert begun.reference is not None
    state = windows.begin("tumours-v3", begun.reference.digest, begun, None, SPEC, NOW)

    for pod, times in zip(PODS, (20, 30), strict=True):
        pods.use(pod, times)
    middle = await world.snapshots(*PODS)
    world.wait_until_scraped(middle)  # but the operator does not look
    pods.kill(PODS[1])
    pods.start(PODS[1])
    for pod, times in zip(PODS, (7, 4), strict=True):
        pods.use(pod, times)
    last = await world.snapshots(*PODS)
    world.wait_until_scraped(last)

    reading = await world.read(*PODS, state=state)
    found = windows.advance(state, reading, SPEC, NOW + timedelta(seconds=1))
    parts = [counts.counted_since(first, middle), counts.counted_since(middle, last)]
    expected = counts.added(*[part for part in parts if part is not None])
    assert expected.rows == 3 * (20 + 30 + 7 + 4)
    assert expected.feedback is not None
    assert expected.feedback.rows == expected.rows
    assert known(found.state.counts) == known(expected)
    assert not found.contradicted

    again = windows.advance(found.state, await world.read(*PODS, state=found.state), SPEC, NOW + timedelta(seconds=2))
    assert again.state.counts == found.state.counts, "nothing is counted twice"


async def test_the_last_word_of_a_pod_is_counted_when_it_is_gone(world: World) -> None:
    begun = await read_when_there(world)
    assert begun.reference is not None
    state = windows.begin("tumours-v3", begun.reference.digest, begun, None, SPEC, NOW)
    world.pods.use(PODS[0], 9)
    world.wait_until_scraped(await world.snapshots(PODS[0]))
    world.pods.kill(PODS[0])
    world.wait_for(f'up{{job="pods",pod="{PODS[0]}"}} == 0')
    world.wait_for(f'up{{job="twice",pod="{PODS[0]}"}} == 0')

    stays = await world.read(*PODS, state=state)
    assert stays.silent == {PODS[0]: "Prometheus does not scrape it"}, "Kubernetes has it still"
    gone = await world.read(PODS[1], state=state)
    assert (set(gone.snapshots), set(gone.gone)) == ({PODS[1]}, {PODS[0]})
    found = windows.advance(state, gone, SPEC, NOW + timedelta(seconds=1))
    assert found.state.counts is not None
    assert found.state.counts.rows == 27
    after = await world.read(PODS[1], state=found.state)
    assert windows.advance(found.state, after, SPEC, NOW).state.counts == found.state.counts


async def read_when_there(world: World) -> Reading:
    world.wait_until_scraped(await world.snapshots(*PODS))
    return await world.read(*PODS)


async def test_the_reference_is_that_of_the_server(world: World) -> None:
    found = (await read_when_there(world)).reference
    assert found is not None
    address = f"127.0.0.1:{world.pods.ports[PODS[0]][1]}"
    expected = await world.direct.reference(address)
    assert (found.rows, found.rows_of, found.task, found.classes) == (
        expected.rows,
        expected.rows_of,
        expected.task,
        expected.classes,
    )
    assert found.key == expected.key == "visit"
    assert [c.name for c in found.columns] == sorted(c.name for c in expected.columns)
    assert found.prediction is not None
    assert expected.prediction is not None
    assert found.prediction.counts == expected.prediction.counts
    assert found.prediction.calibration == expected.prediction.calibration


CASES: list[tuple[str, Callable[[World], Any], str]] = [
    ("a namespace that it does not scrape", lambda w: (w.scraper.url, Selection("b", "x", "m", "1")), "NoSamples"),
    ("nobody there", lambda w: ("http://127.0.0.1:1", SELECTION), "PrometheusUnavailable"),
    ("another server", lambda w: (f"http://127.0.0.1:{w.pods.ports[PODS[0]][1]}", SELECTION), "PrometheusRefused"),
    ("another path", lambda w: (f"{w.scraper.url}/graph", SELECTION), "PrometheusRefused"),
]


async def test_what_cannot_be_read_is_told_with_the_field_to_correct(world: World) -> None:
    await read_when_there(world)
    for what, wrong, reason in CASES:
        url, selection = wrong(world)
        found = await world.scraping.read(MONITOR, Source(url=url), selection, PODS, {})
        (told, message), *_ = [words for words in (found.waiting, found.unsuitable) if words]
        assert told == reason, what
        assert "spec.prometheus.url" in message, what


async def test_a_query_that_prometheus_does_not_understand_is_refused_in_our_words(world: World) -> None:
    requests = Outgoing(local=True)
    try:
        with pytest.raises(Refused, match=r"it answers 400 \(bad_data\)"):
            await HttpPrometheus(requests).query(world.scraper.url, "rate(")
    finally:
        await requests.close()
