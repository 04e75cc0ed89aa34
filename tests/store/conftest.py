"""The S3 server of the chart, running on this machine with an empty bucket for each test."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import tools
from tests.store.server import S3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server with one account."""
    root = tmp_path_factory.mktemp("s3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = S3(f"http://127.0.0.1:{port}", "root", secrets.token_hex(16), root)
    environment = {**os.environ, "ROOT_ACCESS_KEY": server.key, "ROOT_SECRET_KEY": server.secret}
    command = [str(tools.tool("versitygw")), "--port", f"127.0.0.1:{port}", "posix", str(root)]
    with (root.parent / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        server.wait_until_it_answers()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket; the environment is that of a pod that may use it."""
    name = f"bucket-{secrets.token_hex(4)}"
    (s3.root / name).mkdir()
    for variable, value in s3.environment().items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Files to publish, one of them in several parts."""
    source = tmp_path / "version"
    (source / "data").mkdir(parents=True)
    (source / "data/model.bin").write_bytes(os.urandom(20_000_000))
    (source / "odd name+#%20.txt").write_text("text")
    return source
