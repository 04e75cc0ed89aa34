"""Processes are told apart by pid and start time, so a recycled pid is never taken for ours."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import process, wait


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[process.Process]:
    started = process.spawn([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log")
    yield started
    process.kill(started)
    os.waitpid(started.pid, 0)


def test_a_running_process_is_alive(sleeper: process.Process) -> None:
    assert sleeper.alive()


def test_another_start_time_is_another_process(sleeper: process.Process) -> None:
    recycled = dataclasses.replace(sleeper, started="another-boot:1")
    assert not recycled.alive()
    recycled.signal(signal.SIGKILL)
    assert sleeper.alive()


def test_stop_returns_when_the_process_is_gone_even_if_nobody_has_reaped_it(sleeper: process.Process) -> None:
    process.stop(sleeper)
    assert not sleeper.alive()


def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    program = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    deaf = process.spawn([sys.executable, "-c", program], log=tmp_path / "log")
    wait.until(lambda: None if "up" in (tmp_path / "log").read_text() else "not up", 10)
    process.stop(deaf, grace=0.1)
    os.waitpid(deaf.pid, 0)
    assert not deaf.alive()


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    child = process.spawn([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"], log=log)
    os.waitpid(child.pid, 0)
    assert sorted(log.read_text().split()) == ["before", "err", "out"]


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = process.Record(process.Process(42, "boot:7"), "abc")
    record.write(tmp_path / "etcd.json")
    assert process.read(tmp_path / "etcd.json") == record


@pytest.mark.parametrize("content", ["", "not json", "[]", "{}", '{"process": {"pid": 1}, "fingerprint": ""}'])
def test_an_unreadable_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "etcd.json").write_text(content)
    assert process.read(tmp_path / "etcd.json") is None
    assert process.read(tmp_path / "missing.json") is None
