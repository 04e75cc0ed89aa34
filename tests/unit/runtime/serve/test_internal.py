from __future__ import annotations

import re

import httpx
import pytest

from mainspring.api.splitting import SNAPSHOT_PATH, SplitSnapshot
from mainspring_runtime.serve.internal import InternalApp
from mainspring_runtime.serve.metrics import ServerCollector, Tallies, make_registry
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.splitting.splitting import Splitting
from tests.unit.runtime.serve.fakes import LIMITS
from tests.unit.runtime.serve.wired import Wired


@pytest.fixture
async def client() -> httpx.AsyncClient:
    tallies = Tallies()
    splitting = Splitting("tumours-1", "/nowhere", "1.0", tallies, LIMITS)
    app = InternalApp(make_registry(ServerCollector("tumours", "3", tallies)), Monitor(), splitting, tallies.load)
    return httpx.AsyncClient(transport=Wired(app.router, LIMITS), base_url="http://test")


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("*/*", "text/plain; version=", "\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
    ],
)
async def test_metrics_come_in_the_format_that_the_scraper_prefers(
    client: httpx.AsyncClient, accept: str, content_type: str, end: str
) -> None:
    response = await client.get("/metrics", headers={"accept": accept})
    assert response.headers["content-type"].startswith(content_type)
    assert 'mainspring_requests_total{code="200",model="tumours",version="3"} 0.0' in response.text
    assert response.text.endswith(end)
    assert response.text.count("# EOF") == end.count("# EOF"), "written family by family, ended once"
    assert response.text.count("# TYPE ") == len(set(re.findall(r"# TYPE (\S+)", response.text))) > 5


@pytest.mark.parametrize("path", ["/monitor/snapshot", "/monitor/reference"])
async def test_there_is_nothing_to_watch_while_the_model_loads(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json() == {"error": "the model is still being loaded"}


async def test_nothing_else_is_there(client: httpx.AsyncClient) -> None:
    response = await client.get("/v2/health/live")
    assert (response.status_code, response.json()) == (
        404,
        {
            "error": "there is nothing at /v2/health/live; this port has /metrics, /monitor/snapshot, /monitor/reference, /split/snapshot, /load"
        },
    )
    response = await client.post("/metrics")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


async def test_a_split_is_told_of_whether_there_is_one_or_not_and_before_the_model_is_loaded(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get(SNAPSHOT_PATH)
    assert SplitSnapshot.model_validate(response.json()) == SplitSnapshot(revision="tumours-1", epoch="1.0")
