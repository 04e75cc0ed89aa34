"""Whole life cycles of the real process with a real model."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from mainspring.api.monitoring import Reference, Snapshot
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.model import predictor, sample
from mainspring_runtime.serve import loading
from mainspring_runtime.serve.settings import Settings, Verification
from mainspring_runtime.signing import keys
from tests.unit.runtime.serve import process
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.signing import versions

INFER = "/v2/models/tumours/infer"
FEEDBACK = "/v2/models/tumours/feedback"
ROW: dict[str, tuple[str, Any]] = {
    "amount": ("FP64", 31.5),
    "visits": ("INT64", 2),
    "epoch": ("INT64", 1_700_000_100),
    "smoker": ("BOOL", True),
    "stage": ("BYTES", "II"),
    "city": ("BYTES", "city-001"),
    "admitted": ("BYTES", "2024-02-03T04:05:06Z"),
}


def request(**changes: Any) -> dict[str, Any]:
    row = {name: value for name, value in (ROW | changes).items() if value is not None}
    return {
        "inputs": [
            {"name": name, "shape": [1], "datatype": datatype, "data": [value]}
            for name, (datatype, value) in row.items()
        ]
    }


def directory_of(version: Version) -> Path:
    return Path(version.uri.removeprefix("file://"))


def test_a_served_model_answers_as_it_was_proved_to_and_drains_on_sigterm(version: Version, tmp_path: Path) -> None:
    with process.start(version, tmp_path) as server, httpx.Client() as client, httpx.Client() as idle:
        assert client.get(server.url("/v2/health/live")).status_code == 200
        server.wait_for("ready")
        assert idle.get(server.url("/v2/health/ready")).status_code == 200
        outputs = {"outputs": [{"name": "predict_proba"}, {"name": "predict"}]}
        answer = client.post(server.url(INFER), json=request() | outputs).json()
        probabilities, label = (output["data"] for output in answer["outputs"])
        assert sum(probabilities) == pytest.approx(1)
        assert label == [
            client.get(server.url("/v2/models/tumours")).json()["parameters"]["classes"][int(np.argmax(probabilities))]
        ]
        assert client.post(server.url(INFER), json=request(stage=None, admitted=None, smoker=None)).status_code == 200
        refused = client.post(server.url(INFER), json=request(epoch=None))
        assert (refused.status_code, refused.json()["error"]) == (
            400,
            "input 'epoch' is missing: expected INT64 of shape [N] or [N, 1]",
        )
        metrics = client.get(server.metrics_url).text
        assert 'mainspring_requests_total{code="200",model="tumours",version="3"} 2.0' in metrics
        assert 'mainspring_model_info{fallback_reason="",model="tumours",path="onnx",version="3"} 1.0' in metrics
        server.terminate()
        server.wait_for("draining")
        assert client.post(server.url(INFER), json=request()).headers["connection"] == "close"
        assert client.get(server.metrics_url).status_code == 200, "as long as somebody has a connection"
        client.close()
        idle.close()
        assert server.process.wait(30) == 0


def test_the_sample_of_the_version_gives_its_expected_answers_over_the_wire(version: Version, tmp_path: Path) -> None:
    loaded = predictor.load(directory_of(version))
    expected = sample.read_sample(directory_of(version), loaded.signature)
    assert expected is not None
    inputs = []
    for column in loaded.signature.inputs:
        values = [None if value == "" else value for value in expected.columns[column.name].tolist()]
        inputs.append({"name": column.name, "shape": [len(values), 1], "datatype": column.datatype, "data": values})
    # Python's own encoder writes the missing numbers as bare NaN.
    content = json.dumps({"inputs": inputs, "outputs": [{"name": name} for name in expected.expected]})
    assert "NaN" in content
    with process.start(version, tmp_path) as server:
        server.wait_for("ready")
        answer = httpx.post(server.url(INFER), content=content).json()
    actual = {output["name"]: np.array(output["data"]).reshape(output["shape"]) for output in answer["outputs"]}
    assert sample.difference(expected.expected, actual) is None


def test_without_the_fast_path_the_answers_are_the_same_and_the_reason_is_shown(
    version: Version, tmp_path: Path
) -> None:
    slow = changed(version, tmp_path, onnx={"admitted": False, "reason": "probabilities differ by 0.1"})
    answers = []
    for number, served in enumerate((version, slow)):
        with process.start(served, tmp_path / str(number)) as server:
            server.wait_for("ready")
            wanted = request() | {"outputs": [{"name": "predict_proba"}]}
            answers.append(httpx.post(server.url(INFER), json=wanted).json()["outputs"][0]["data"])
            metrics = httpx.get(server.metrics_url).text
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)
    assert (
        'mainspring_model_info{fallback_reason="probabilities differ by 0.1",model="tumours",path="sklearn"' in metrics
    )


@dataclass
class Caller:
    """Keeps one connection busy until an answer sends it away."""

    port: int
    body: bytes
    warm: threading.Semaphore
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    sent_away: bool = False

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            while not self.sent_away:
                self._call(connection)
        except OSError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        finally:
            self.warm.release()
            connection.close()

    def _call(self, connection: http.client.HTTPConnection) -> None:
        connection.request("POST", INFER, self.body, {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            self.failures.append(f"{response.status} {content!r}")
        self.answered += 1
        self.sent_away = response.getheader("connection") == "close"
        if self.answered == 20:
            self.warm.release()


def test_no_request_fails_while_the_server_goes_away_under_load(version: Version, tmp_path: Path) -> None:
    with process.start(version, tmp_path) as server:
        server.wait_for("ready")
        warm = threading.Semaphore(0)
        callers = [Caller(server.port, json.dumps(request()).encode(), warm) for _ in range(8)]
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        idle.request("GET", "/v2/health/ready")
        assert idle.getresponse().read() == b'{"ready":true}'
        threads = [threading.Thread(target=caller.run) for caller in callers]
        for thread in threads:
            thread.start()
        for _ in callers:
            warm.acquire()
        server.terminate()
        server.wait_for("draining")
        idle.request("POST", INFER, callers[0].body, {"content-type": "application/json"})
        late = idle.getresponse()
        assert (late.status, late.getheader("connection")) == (200, "close"), "a connection that was idle at SIGTERM"
        late.read()
        idle.close()
        for thread in threads:
            thread.join(30)
        assert [failure for caller in callers for failure in caller.failures] == []
        assert all(caller.sent_away and caller.answered >= 20 for caller in callers)
        assert server.process.wait(30) == 0


def test_labels_and_counts_survive_until_whoever_watches_has_read_them(version: Version, tmp_path: Path) -> None:
    with process.start(version, tmp_path, MAINSPRING_FEEDBACK_KEY="a key of the tests") as server:
        server.wait_for("ready")
        with httpx.Client() as client:
            first = Snapshot.model_validate_json(client.get(server.internal_url("/monitor/snapshot")).content)
            reference = Reference.model_validate_json(client.get(server.internal_url("/monitor/reference")).content)
            wanted = {"outputs": [{"name": "predict"}, {"name": "feedback_token"}]}
            outputs = client.post(server.url(INFER), json=request() | wanted).json()["outputs"]
            label, token = (output["data"][0] for output in outputs)
            answer = client.post(server.url(FEEDBACK), json={"token": token, "label": label}).json()
        assert answer == {"counted": 1, "repeated": 0, "refused": 0}
        server.terminate()
        server.wait_for("holding for a last snapshot")
        last = Snapshot.model_validate_json(httpx.get(server.internal_url("/monitor/snapshot")).content)
        assert server.process.wait(30) == 0
    assert (first.rows, last.rows, last.final) == (0, 1, True)
    assert first.epoch == last.epoch
    assert [column.name for column in last.columns] == [column.name for column in reference.columns]
    assert last.columns[0].counts != first.columns[0].counts
    assert last.feedback is not None
    assert (last.feedback.rows, last.feedback.correct) == (1, 1)


def outcome_of(server: process.Server) -> tuple[int, dict[str, Any]]:
    """The exit code and the termination message, which also goes to stdout."""
    code = server.process.wait(30)
    assert server.process.stdout is not None
    outcome: dict[str, Any] = json.loads(server.process.stdout.read())
    return code, outcome


def copy_of(version: Version, target: Path) -> Path:
    return Path(shutil.copytree(directory_of(version), target))


def test_a_changed_byte_is_never_served(version: Version, tmp_path: Path) -> None:
    directory = copy_of(version, tmp_path / "copy")
    content = bytearray((directory / "model.onnx").read_bytes())
    content[-1] ^= 1
    (directory / "model.onnx").write_bytes(content)
    with process.start(Version(directory.as_uri(), version.digest), tmp_path / "work") as server:
        code, outcome = outcome_of(server)
    assert code == 42
    assert (outcome["outcome"], outcome["reason"], outcome["details"]) == (
        "Failed",
        "ArtifactDigestMismatch",
        ["model.onnx"],
    )


def signed(version: Version, root: Path, key: EllipticCurvePrivateKey) -> Version:
    """The same version with a signature beside it."""
    directory = copy_of(version, root / "signed")
    versions.sign(directory, key)
    return Version(directory.as_uri(), version.digest)


def asking(*trusted: EllipticCurvePrivateKey) -> dict[str, str]:
    """The environment of a server whose Model asks for signatures."""
    pem = "".join(versions.public_pem(key.public_key()) for key in trusted)
    return {"MAINSPRING_VERIFICATION_SECRET": "model-signing", "MAINSPRING_PUBLIC_KEY": pem}


def test_what_a_trusted_key_signed_is_served(version: Version, tmp_path: Path) -> None:
    key = versions.new_key()
    with process.start(signed(version, tmp_path, key), tmp_path / "work", **asking(key)) as server:
        assert keys.fingerprint(key.public_key()) in server.wait_for("signed by the key")
        server.wait_for("ready")
        assert httpx.get(server.url("/v2/health/ready")).status_code == 200


def test_what_another_key_signed_is_never_served(version: Version, tmp_path: Path) -> None:
    other = signed(version, tmp_path, versions.new_key())
    with process.start(other, tmp_path / "work", **asking(versions.new_key())) as server:
        code, outcome = outcome_of(server)
    assert (code, outcome["reason"], outcome["details"]) == (1, "SignatureInvalid", ["model.sig"])
    assert "public.pem of Secret model-signing (spec.verification of the Model)" in outcome["message"]


@pytest.mark.parametrize("pem", ["", "nonsense"])
def test_a_key_that_is_none_does_not_mean_that_none_is_asked_for(version: Version, tmp_path: Path, pem: str) -> None:
    asked = Verification("model-signing", pem)
    with pytest.raises(RetryableError, match="holds no public key in PEM") as caught:
        loading.load(replace(settings(version), verification=asked), tmp_path / "work", 1)
    assert caught.value.reason == "VerificationKeyInvalid"


def test_a_store_that_does_not_answer_is_worth_another_attempt(version: Version, tmp_path: Path) -> None:
    environment = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    with process.start(Version("s3://bucket/model/", version.digest), tmp_path, **environment) as server:
        code, outcome = outcome_of(server)
    assert (code, outcome["reason"]) == (1, "ArtifactStoreUnavailable")


def test_a_variable_that_is_missing_is_named(version: Version, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mainspring_runtime", "serve"]
    environment = process.environment(version, MAINSPRING_MODEL_URI="")
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, json.loads(result.stdout)["reason"]) == (42, "InvalidEnvironment")
    assert "MAINSPRING_MODEL_URI is not set" in result.stderr


def test_sigterm_ends_a_server_that_is_still_loading_at_once(version: Version, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/model/"
        with process.start(Version(uri, version.digest), tmp_path) as server:
            connection, _ = silent.accept()
            assert httpx.get(server.url("/v2/health/live")).status_code == 200
            assert httpx.get(server.url("/v2/health/ready")).status_code == 503
            server.terminate()
            assert server.process.wait(20) == 0
            connection.close()


def changed(version: Version, root: Path, **facts: Any) -> Version:
    """The same version with other facts in its model.json, published."""
    directory = copy_of(version, root / "copy")
    document = json.loads((directory / "model.json").read_text())
    (directory / "model.json").write_text(json.dumps(document | facts))
    published = artifacts.publish(directory, (root / "store").as_uri())
    return Version(published.uri, published.digest)


def settings(version: Version) -> Settings:
    return Settings(model="tumours", version="3", uri=version.uri, digest=version.digest)


def test_a_format_that_only_its_owner_can_run_is_refused_at_load(version: Version, tmp_path: Path) -> None:
    custom = changed(version, tmp_path, format="custom")
    with pytest.raises(PermanentError, match=r"set spec\.runtime\.image") as caught:
        loading.load(settings(custom), tmp_path / "work", 1)
    assert caught.value.reason == "CustomFormat"


PRINT_HEAVY_MODULES = """
import sys
from pathlib import Path
from mainspring_runtime.serve import command, server, settings, loading
heavy = {"cryptography", "pydantic", "pandas", "pyarrow", "duckdb", "sklearn", "scipy", "skl2onnx", "onnx", "skops"}
print(sorted(heavy & set(sys.modules)), "onnxruntime" in sys.modules)
loading.load(settings.Settings("m", "1", sys.argv[1], sys.argv[2]), Path(sys.argv[3]), 1)
print(sorted(heavy & set(sys.modules)))
"""


def test_the_fast_path_imports_nothing_heavy(version: Version, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PRINT_HEAVY_MODULES, version.uri, version.digest, str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[] False\n[]\n"
