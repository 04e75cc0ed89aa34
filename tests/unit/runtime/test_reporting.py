"""Task in, progress, report and outcome out: in a cluster by the API server, elsewhere by files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.api import contract
from mainspring_runtime import reporting
from mainspring_runtime.errors import PermanentError, RetryableError
from tests.unit.runtime.webserver import Answer, Request, WebServer, web_server

REPORT = contract.PrepareReport(identity="sha256:" + "1" * 64, rows=3)


@pytest.fixture
def statuses() -> list[int]:
    """HTTP statuses that the API server answers with, the last one for ever."""
    return [200]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statuses: list[int]) -> Iterator[WebServer]:
    """A pod's surroundings, with an API server that answers as `statuses` says."""

    def answer(_: Request) -> Answer:
        return Answer(statuses.pop(0) if len(statuses) > 1 else statuses[0], body=b"{}")

    account = tmp_path / "serviceaccount"
    account.mkdir()
    with web_server(tmp_path, answer) as server:
        (account / "token").write_text("secret-token\n")
        (account / "namespace").write_text("from-file")
        (account / "ca.crt").write_bytes(server.certificate.read_bytes())
        monkeypatch.setattr(reporting, "SERVICE_ACCOUNT_DIR", account)
        monkeypatch.setattr(reporting, "REPORT_BACKOFF_SECONDS", 0.001)
        monkeypatch.setattr(reporting, "_PROGRESS", reporting.Throttle())
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        monkeypatch.setenv(contract.ENV_REPORT, "rows-prepare-1")
        monkeypatch.setenv(contract.ENV_NAMESPACE, "team-a")
        yield server


def patched(request: Request) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in json.loads(request.body)["data"].items()}


def test_the_report_is_patched_into_the_jobs_own_configmap(cluster: WebServer) -> None:
    reporting.report(REPORT)
    [request] = cluster.requests
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/team-a/configmaps/rows-prepare-1")
    assert request.headers["Authorization"] == "Bearer secret-token"
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert patched(request) == {"report.json": REPORT.to_dict()}


def test_the_namespace_of_the_account_is_the_default(cluster: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(contract.ENV_NAMESPACE)
    reporting.report(REPORT)
    assert cluster.requests[0].path.startswith("/api/v1/namespaces/from-file/")


def test_a_report_is_retried(cluster: WebServer, statuses: list[int]) -> None:
    statuses[:] = [500, 429, 200]
    reporting.report(REPORT)
    assert len(cluster.requests) == 3


def test_a_report_that_is_not_taken_is_retryable(cluster: WebServer, statuses: list[int]) -> None:
    statuses[:] = [403]
    with pytest.raises(RetryableError, match="403") as caught:
        reporting.report(REPORT)
    assert caught.value.reason == "ReportNotDelivered"
    assert len(cluster.requests) == reporting.REPORT_ATTEMPTS


def test_an_enormous_report_is_refused(cluster: WebServer) -> None:
    with pytest.raises(PermanentError) as caught:
        reporting.report(contract.PrepareReport(identity="x" * contract.REPORT_MAX_BYTES))
    assert caught.value.reason == "ReportTooLarge"
    assert not cluster.requests


def test_progress_is_throttled_and_printed(cluster: WebServer, capsys: pytest.CaptureFixture[str]) -> None:
    for percent in (1, 2, 3):
        reporting.progress(percent, "Reading")
    assert [patched(request) for request in cluster.requests] == [{"progress.json": {"percent": 1, "stage": "Reading"}}]
    assert [json.loads(line)["percent"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3]


def test_progress_is_sent_again_after_a_while(cluster: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "PROGRESS_INTERVAL_SECONDS", 0.0)
    reporting.progress(1, "Reading")
    reporting.progress(2, "Reading")
    assert len(cluster.requests) == 2


def test_progress_never_fails_the_job(cluster: WebServer, statuses: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    statuses[:] = [500]
    reporting.progress(1, "Reading")
    assert len(cluster.requests) == 1
    monkeypatch.setattr(reporting, "PROGRESS_INTERVAL_SECONDS", 0.0)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    reporting.progress(2, "Reading")


def test_outside_of_a_cluster_the_report_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(reporting.ENV_REPORT_FILE, str(tmp_path / "report.json"))
    reporting.progress(5, "Reading")
    reporting.report(REPORT)
    assert contract.PrepareReport.model_validate_json((tmp_path / "report.json").read_text()) == REPORT
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == REPORT.to_dict()


def task_file(path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    task = {
        "namespace": "team",
        "dataset": "rows",
        "spec": {"source": {"sample": "iris"}, "target": "species"},
        "destination": "file:///store",
        "image": "runtime",
        "refreshedAt": "2026-01-01T00:00:00Z",
        **changes,
    }
    path.write_text(json.dumps(task))
    monkeypatch.setenv(contract.ENV_TASK, str(path))


def test_a_task_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task_file(tmp_path / "task.json", monkeypatch)
    assert reporting.load_task(contract.PrepareTask).spec.target == "species"


def test_a_bad_task_names_the_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task_file(tmp_path / "task.json", monkeypatch, spec={"source": {"sample": "iris"}}, image=7)
    with pytest.raises(PermanentError, match=r"spec\.target: Field required") as caught:
        reporting.load_task(contract.PrepareTask)
    assert caught.value.reason == "InvalidTask"
    assert [detail.split(":")[0] for detail in caught.value.details] == ["spec.target", "image"]


def test_an_absent_task_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(contract.ENV_TASK, str(tmp_path / "nothing.json"))
    with pytest.raises(PermanentError, match="set MAINSPRING_TASK"):
        reporting.load_task(contract.PrepareTask)


def test_the_outcome_is_the_termination_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    outcome = contract.Outcome(outcome="Succeeded", digest="sha256:" + "a" * 64)
    reporting.finish(outcome, log)
    assert contract.Outcome.model_validate_json(log.read_text()) == outcome
    assert capsys.readouterr().out.strip() == log.read_text()


def test_without_a_termination_log_none_is_made(tmp_path: Path) -> None:
    reporting.finish(contract.Outcome(outcome="Succeeded"), tmp_path / "termination-log")
    assert not (tmp_path / "termination-log").exists()


@pytest.mark.parametrize("character", ["x", "é", "\u4e2d", '"', "\U0001f600"])
def test_a_termination_message_always_fits(character: str) -> None:
    error = PermanentError("InvalidRows" * 20, character * 5000, [character * 1000] * 30)
    outcome = reporting.failure(error)
    assert (len(outcome.reason), len(outcome.message), len(outcome.details)) == (64, 2048, 10)
    text = reporting.fitted(outcome)
    assert len(text.encode()) <= contract.TERMINATION_MAX_BYTES
    kept = contract.Outcome.model_validate_json(text)
    assert kept.message.endswith("…")
    assert len(kept.message) > 500


def test_a_short_failure_is_kept_whole() -> None:
    error = RetryableError("SourceUnavailable", "no route to host", ["a", "b"])
    kept = contract.Outcome.model_validate_json(reporting.fitted(reporting.failure(error)))
    assert (kept.outcome, kept.reason, kept.message, kept.details) == (
        "Failed",
        "SourceUnavailable",
        "no route to host",
        ["a", "b"],
    )
