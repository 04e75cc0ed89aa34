"""What training published is signed where it lies, and the key is looked at before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mainspring.api import contract
from mainspring.api.contract import TrainTask
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.signing import command, keys, verification
from mainspring_runtime.train import command as training
from tests.unit.runtime.signing import versions
from tests.unit.runtime.train import prepared_data, tasks

KEY = versions.new_key()
PRIVATE = {contract.ENV_PRIVATE_KEY: versions.private_pem(KEY)}
SIGNING = {"signing": {"privateKeySecret": "signing-key"}}
ESTIMATOR = {"class": "sklearn.linear_model.LogisticRegression"}


@pytest.fixture
def task(tmp_path: Path) -> TrainTask:
    dataset = prepared_data.iris(tmp_path / "data")
    return tasks.make_task(tmp_path, dataset, model=SIGNING, estimator=ESTIMATOR)


def test_what_was_trained_is_signed_and_verifies(task: TrainTask, tmp_path: Path) -> None:
    report = training.train(task, tmp_path / "work", 1, tasks.silent)
    assert command.sign(task, tmp_path / "work/model", PRIVATE) == report.digest
    fetched = tmp_path / "fetched"
    manifest = artifacts.fetch(report.uri, report.digest, fetched)
    pem = versions.public_pem(KEY.public_key())
    found = verification.verify(report.uri, fetched, manifest, pem, "model-signing")
    assert found == keys.fingerprint(KEY.public_key())


def test_a_signature_that_a_container_left_is_replaced(task: TrainTask, tmp_path: Path) -> None:
    source = versions.write_files(tmp_path / "source")
    versions.sign(source, versions.new_key())
    published = artifacts.publish(source, task.destination)
    assert command.sign(task, source, PRIVATE) == published.digest
    stored = versions.Stored(published, tmp_path / "fetched")
    assert stored.verify(KEY.public_key()) == keys.fingerprint(KEY.public_key())


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "private.pem of Secret signing-key (spec.signing of the Model) is empty"),
        ({contract.ENV_PRIVATE_KEY: "x"}, "private.pem of Secret signing-key (spec.signing of the Model) is not"),
    ],
)
def test_a_key_that_cannot_be_used_is_found_before_the_training(
    task: TrainTask, environ: dict[str, str], told: str
) -> None:
    with pytest.raises(RetryableError) as raised:
        command.signing_key(task, environ)
    assert raised.value.reason == "SigningKeyInvalid"
    assert told in raised.value.message


def test_without_a_key_in_the_model_there_is_nothing_to_sign(task: TrainTask, tmp_path: Path) -> None:
    model = task.model.model_copy(update={"spec": task.model.spec.model_copy(update={"signing": None})})
    with pytest.raises(PermanentError):
        command.sign(task.model_copy(update={"model": model}), tmp_path, PRIVATE)


def test_the_commands_find_everything_as_a_pod_gives_it(
    task: TrainTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "task.json").write_text(contract.as_json(task))
    monkeypatch.setenv(contract.ENV_TASK, str(tmp_path / "task.json"))
    for name, value in PRIVATE.items():
        monkeypatch.setenv(name, value)
    command.main(["check-signing-key"])
    assert capsys.readouterr().out == ""
    report = training.train(task, tmp_path / "work", 1, tasks.silent)
    capsys.readouterr()
    command.main(["sign", "--work", str(tmp_path / "work")])
    assert json.loads(capsys.readouterr().out) == {"details": [], "digest": report.digest, "message": "", "outcome": "Succeeded", "reason": ""}  # fmt: skip
