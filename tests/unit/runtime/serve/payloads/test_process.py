"""The last part, when the process is told to go."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from tests.unit.runtime.serve import process
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.serve.test_process import INFER, request


def wanted(uri: str) -> dict[str, str]:
    return {"MAINSPRING_PAYLOAD_LOG": json.dumps({"uri": uri, "sampleRate": 1.0, "redact": ["city"]})}


def test_the_last_part_is_written_before_the_process_ends(version: Version, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process.start(version, tmp_path / "work", **wanted(log.as_uri())) as server:
        server.wait_for("ready")
        for number in range(3):
            answer = httpx.post(server.url(INFER), json=request() | {"id": f"order-{number}"})
            assert answer.status_code == 200
        server.terminate()
        assert server.process.wait(60) == 0
    (part,) = log.rglob("*.parquet")
    table = pq.read_table(part)
    assert table["mainspring_request"].to_pylist() == ["order-0", "order-1", "order-2"]
    assert table["stage"].to_pylist() == ["II"] * 3
    assert "city" not in table.column_names


def test_a_store_that_hangs_does_not_keep_the_process(version: Version, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "AWS_ALLOW_HTTP": "true"}
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        with process.start(version, tmp_path / "work", **wanted("s3://bucket/log"), **store, **keys) as server:
            server.wait_for("ready")
            assert httpx.post(server.url(INFER), json=request()).status_code == 200
            server.terminate()
            server.wait_for("the last part of the payload log was not written")
            assert server.process.wait(60) == 0


def test_the_key_of_the_training_data_may_be_sent_along(version: Version, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process.start(version, tmp_path / "work", **wanted(log.as_uri())) as server:
        server.wait_for("ready")
        assert httpx.get(server.url("/v2/models/tumours")).json()["parameters"]["key"] == "visit"
        asked = request()
        asked["inputs"].append({"name": "visit", "shape": [1], "datatype": "INT64", "data": [17]})
        assert httpx.post(server.url(INFER), json=asked).status_code == 200
        server.terminate()
        assert server.process.wait(60) == 0
    (part,) = log.rglob("*.parquet")
    assert pq.read_table(part)["mainspring_key"].to_pylist() == ["17"]
