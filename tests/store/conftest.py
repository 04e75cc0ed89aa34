"""The S3 server of the chart, running on this machine with an empty bucket for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import config
from tests.store.server import S3, running


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server with one account."""
    root = tmp_path_factory.mktemp("s3")
    with config.reserved_ports(1) as (port,):
        server = S3(f"http://127.0.0.1:{port}", "root", secrets.token_hex(16), root)
        with running(server, ["--port", f"127.0.0.1:{port}", "posix", str(root)], root.parent / "s3.log"):
            yield server


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
