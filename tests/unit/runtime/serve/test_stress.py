"""The real process when things hang: a load, a prediction, a caller."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring_runtime.serve.environment import SERVER
from tests.unit.runtime.serve import process, stubborn
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.serve.test_process import INFER, outcome_of, request

LIVE, READY = "/v2/health/live", "/v2/health/ready"


@pytest.fixture(scope="module")
def trapped(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Version:
    return stubborn.trapped(version, tmp_path_factory.mktemp("trapped"))


def limits(**values: Any) -> dict[str, str]:
    return {SERVER: json.dumps(values)}


def with_amount(amount: float) -> dict[str, Any]:
    return request(amount=("FP64", amount))


def test_a_store_that_never_ends_its_answer_is_named_when_the_time_to_load_is_up(
    version: Version, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/model/"
        with process.start(Version(uri, version.digest), tmp_path, **limits(loadSeconds=5)) as server:
            connection, _ = silent.accept()
            assert httpx.get(server.url(LIVE)).status_code == 200, "slow is not dead"
            code, outcome = outcome_of(server)
            connection.close()
    assert (code, outcome["reason"]) == (1, "LoadTimedOut")
    assert f"not ready after 5 s: the server is fetching the files from {uri}, and 0 bytes" in outcome["message"]
    assert "spec.server.loadTimeout" in outcome["message"]


def test_a_model_that_hangs_while_it_is_loaded_is_told_from_a_slow_store(version: Version, tmp_path: Path) -> None:
    hanging = stubborn.pickled(version, tmp_path, stubborn.HangsInLoad())
    with process.start(hanging, tmp_path / "work", **stubborn.ALLOWED, **limits(loadSeconds=8)) as server:
        assert httpx.get(server.url(LIVE)).status_code == 200
        assert httpx.get(server.url(READY)).status_code == 503
        code, outcome = outcome_of(server)
    assert (code, outcome["reason"]) == (1, "LoadTimedOut")
    assert "the server is loading the model from its files, which are all there" in outcome["message"]


def test_a_prediction_that_never_ends_is_told_to_callers_to_the_kubelet_and_in_the_end(
    trapped: Version, tmp_path: Path
) -> None:
    settings = stubborn.ALLOWED | limits(requestSeconds=2)
    with process.start(trapped, tmp_path, **settings) as server, httpx.Client(timeout=30) as client:
        server.wait_for("ready")
        assert client.post(server.url(INFER), json=request()).status_code == 200
        hung = client.post(server.url(INFER), json=with_amount(stubborn.HANGS))
        assert (hung.status_code, hung.json()["error"]) == (503, "no answer within 2 s")
        assert client.get(server.url(LIVE)).status_code == 200, "one that is late may still end"
        while (live := client.get(server.url(LIVE))).status_code == 200:
            assert client.post(server.url(INFER), json=request()).status_code == 503
        assert live.status_code == 503
        assert live.json()["reason"].startswith("a prediction of 1 rows has been running for ")
        assert client.get(server.url(READY)).status_code == 503, "others may have better pods"
        refused = client.post(server.url(INFER), json=request())
        assert refused.json()["error"].startswith("a prediction of 1 rows has been running for "), "at once"
        client.close()
        server.terminate()
        code, outcome = outcome_of(server)
    assert (code, outcome["reason"]) == (1, "PredictionStuck")
    assert "spec.server.requestTimeout is too short" in outcome["message"]


def test_a_slow_prediction_never_blocks_a_health_probe(trapped: Version, tmp_path: Path) -> None:
    settings = stubborn.ALLOWED | limits(requestSeconds=60)
    with process.start(trapped, tmp_path, **settings) as server, ThreadPoolExecutor(1) as pool:
        server.wait_for("ready")
        with httpx.Client(timeout=60) as caller, httpx.Client(timeout=60) as probe:
            slow = pool.submit(caller.post, server.url(INFER), json=with_amount(stubborn.BURNS))
            probed = 0
            while not slow.done():
                assert probe.get(server.url(LIVE)).status_code == 200
                assert probe.get(server.url(READY)).status_code == 200
                probed += 1
        assert slow.result().status_code == 200
    assert probed >= 3, "while Python burned a second of CPU in the model"


def test_a_request_in_work_at_sigterm_is_answered(trapped: Version, tmp_path: Path) -> None:
    settings = stubborn.ALLOWED | limits(requestSeconds=20)
    with process.start(trapped, tmp_path, **settings) as server, ThreadPoolExecutor(2) as pool:
        server.wait_for("ready")
        burning = pool.submit(httpx.post, server.url(INFER), json=with_amount(stubborn.BURNS), timeout=60)
        while 'le="1.0",model' not in (text := httpx.get(server.metrics_url).text) or _calls(text) < 1:
            pass
        server.terminate()
        server.wait_for("draining")
        answer = burning.result()
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(30) == 0


def test_a_prediction_that_hangs_does_not_keep_the_process(trapped: Version, tmp_path: Path) -> None:
    settings = stubborn.ALLOWED | limits(requestSeconds=5)
    with process.start(trapped, tmp_path, **settings) as server, ThreadPoolExecutor(1) as pool:
        server.wait_for("ready")
        hanging = pool.submit(httpx.post, server.url(INFER), json=with_amount(stubborn.HANGS), timeout=60)
        while _calls(httpx.get(server.metrics_url).text) < 1:
            assert not hanging.done()
        server.terminate()
        answer = hanging.result()
        assert (answer.status_code, answer.headers["connection"]) == (503, "close")
        assert server.process.wait(30) == 0


def _calls(metrics: str) -> float:
    (line,) = [line for line in metrics.splitlines() if line.startswith("mainspring_batch_rows_count")]
    return float(line.rpartition(" ")[2])


def test_first_requests_are_made_before_anybody_is_let_in_and_count_nowhere(version: Version, tmp_path: Path) -> None:
    with process.start(version, tmp_path) as server:
        told = server.wait_for("warmed up")
        assert told.rstrip().endswith("20 requests"), "none of them refused"
        server.wait_for("ready")
        metrics = httpx.get(server.metrics_url).text
        snapshot = httpx.get(server.internal_url("/monitor/snapshot")).json()
    assert 'mainspring_requests_total{code="200",model="tumours",version="3"} 0.0' in metrics
    assert _calls(metrics) == 0
    assert snapshot["rows"] == 0


def test_warming_up_can_be_switched_off(version: Version, tmp_path: Path) -> None:
    with process.start(version, tmp_path, **limits(warmup=False)) as server:
        assert server.process.stderr is not None
        seen = ""
        while "ready" not in (line := server.process.stderr.readline()):
            seen += line
    assert "loaded tumours" in seen
    assert "warmed up" not in seen


def test_limits_of_the_environment_hold(version: Version, tmp_path: Path) -> None:
    with process.start(version, tmp_path, **limits(maxBodyBytes=300, warmup=False)) as server:
        server.wait_for("ready")
        refused = httpx.post(server.url(INFER), json=request())
    assert (refused.status_code, refused.json()["error"]) == (
        413,
        "the body is larger than 300 bytes; send several requests",
    )
