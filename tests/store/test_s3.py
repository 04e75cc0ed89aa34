"""Artifacts and sources in a real S3 store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime import artifacts, stores
from mainspring_runtime.data.limits import MIB, Limits
from mainspring_runtime.data.prepare import prepare
from mainspring_runtime.data.sources import Places
from mainspring_runtime.errors import PermanentError, RetryableError
from tests.store.server import S3


def prepare_from(uri: str, bucket: str, work: Path, **task: Any) -> contract.PrepareReport:
    spec = DatasetSpec.model_validate({"source": {"uri": uri}, "target": "y", "key": "id"})
    work.mkdir()
    fields = {
        "destination": f"s3://{bucket}/team/datasets/rows",
        "image": "runtime",
        "refreshed_at": "2026-01-01T00:00:00Z",
    }
    made = contract.PrepareTask(namespace="team", dataset="rows", spec=spec, **fields, **task)
    return prepare(made, Places(work), Limits(2, 768 * MIB), lambda percent, stage: None)


def upload(bucket: str, path: str, rows: range, directory: Path) -> None:
    table = pa.table({"id": list(rows), "x": [row / 7 for row in rows], "y": [row % 2 for row in rows]})
    pq.write_table(table, directory / "rows.parquet")
    obstore.put(stores.open_store(f"s3://{bucket}/"), path, directory / "rows.parquet")


def test_a_directory_survives_the_round_trip(bucket: str, directory: Path, tmp_path: Path) -> None:
    published = artifacts.publish(directory, f"s3://{bucket}/models")
    assert published == artifacts.publish(directory, f"s3://{bucket}/models/")
    artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")
    for path in ("data/model.bin", "odd name+#%20.txt", "manifest.json"):
        assert (tmp_path / "fetched" / path).read_bytes() == (directory / path).read_bytes()


def test_a_signature_is_absent_or_fetched_with_the_rest(bucket: str, directory: Path, tmp_path: Path) -> None:
    published = artifacts.publish(directory, f"s3://{bucket}/models")
    manifest = artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")
    assert artifacts.fetch_signature(published.uri, manifest, tmp_path / "fetched") is None
    (directory / "model.sig").write_text("signature")
    assert artifacts.publish_signature(directory, f"s3://{bucket}/models/") == published.digest
    assert artifacts.fetch_signature(published.uri, manifest, tmp_path / "fetched") == b"signature"


def test_a_changed_byte_is_found(bucket: str, directory: Path, tmp_path: Path) -> None:
    published = artifacts.publish(directory, f"s3://{bucket}/models")
    content = bytearray((directory / "data/model.bin").read_bytes())
    content[12_345_678] ^= 1
    obstore.put(stores.open_store(published.uri), "data/model.bin", bytes(content))
    with pytest.raises(PermanentError, match=r"data/model\.bin") as caught:
        artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")
    assert caught.value.reason == "ArtifactDigestMismatch"


def test_an_upload_that_was_cut_off_is_completed(bucket: str, directory: Path, tmp_path: Path) -> None:
    published = artifacts.publish(directory, f"s3://{bucket}/models")
    obstore.delete(stores.open_store(published.uri), "data/model.bin")
    artifacts.publish(directory, f"s3://{bucket}/models")
    artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")


def test_a_prefix_is_prepared_once_and_again_when_it_grows(bucket: str, tmp_path: Path) -> None:
    upload(bucket, "lake/year=2025/part 1+#.parquet", range(100), tmp_path)
    obstore.put(stores.open_store(f"s3://{bucket}/"), "lake/_SUCCESS", b"")
    uri = f"s3://{bucket}/lake/"
    first = prepare_from(uri, bucket, tmp_path / "first")
    assert (first.rows, first.unchanged) == (100, False)
    assert prepare_from(uri, bucket, tmp_path / "again", previous_identity=first.identity).unchanged
    upload(bucket, "lake/year=2026/part 2.parquet", range(100, 250), tmp_path)
    second = prepare_from(uri, bucket, tmp_path / "second", previous_identity=first.identity)
    assert (second.rows, second.unchanged) == (250, False)


def test_an_object_that_is_copied_over_itself_is_unchanged(bucket: str, tmp_path: Path) -> None:
    uri = f"s3://{bucket}/rows.parquet"
    upload(bucket, "rows.parquet", range(100), tmp_path)
    first = prepare_from(uri, bucket, tmp_path / "first")
    upload(bucket, "rows.parquet", range(100), tmp_path)
    assert prepare_from(uri, bucket, tmp_path / "again", previous_identity=first.identity).unchanged


@pytest.mark.parametrize("path", ["nothing/", "nothing.csv"])
def test_a_source_that_is_not_there_yet(bucket: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(RetryableError) as caught:
        prepare_from(f"s3://{bucket}/{path}", bucket, tmp_path / "work")
    assert caught.value.reason == "SourceNotFound"


def test_an_artifact_that_is_not_there(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        artifacts.fetch(f"s3://{bucket}/nothing", "sha256:" + "0" * 64, tmp_path)
    assert caught.value.reason == "ArtifactNotFound"


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_may_still_come(directory: Path, tmp_path: Path) -> None:
    for call in (
        lambda: artifacts.publish(directory, "s3://no-such-bucket/models"),
        lambda: artifacts.fetch("s3://no-such-bucket/models", "sha256:" + "0" * 64, tmp_path / "fetched"),
    ):
        with pytest.raises(RetryableError, match="NoSuchBucket: The specified bucket does not exist") as caught:
            call()
        assert caught.value.reason == "ArtifactStoreUnavailable"


@pytest.mark.parametrize(
    ("variable", "words"), [("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "No user exists")]
)
def test_wrong_credentials_are_named_and_worth_another_attempt(
    bucket: str, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, words: str
) -> None:
    published = artifacts.publish(directory, f"s3://{bucket}/models")
    monkeypatch.setenv(variable, "wrong")
    with pytest.raises(RetryableError, match=words) as caught:
        artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")
    assert caught.value.reason == "ArtifactStoreDenied"
    with pytest.raises(RetryableError, match=words) as caught:
        prepare_from(f"s3://{bucket}/lake/", bucket, tmp_path / "work")
    assert caught.value.reason == "SourceDenied"


def test_the_source_may_have_other_credentials_than_the_artifact_store(
    s3: S3, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(bucket, "rows.parquet", range(50), tmp_path)
    for variable, value in s3.environment().items():
        monkeypatch.setenv(contract.ENV_SOURCE_PREFIX + variable, value)
        monkeypatch.delenv(variable)
    task = contract.PrepareTask(
        namespace="team",
        dataset="rows",
        spec=DatasetSpec.model_validate({"source": {"uri": f"s3://{bucket}/rows.parquet"}, "target": "y"}),
        destination=(tmp_path / "store").as_uri(),
        image="runtime",
        refreshed_at="2026-01-01T00:00:00Z",
    )
    (tmp_path / "work").mkdir()
    assert prepare(task, Places(tmp_path / "work"), Limits(2, 768 * MIB), lambda percent, stage: None).rows == 50
