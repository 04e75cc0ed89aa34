"""Publishing and fetching directories: complete, verified, and refused when a byte is wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring_runtime import artifacts
from mainspring_runtime.artifacts import Published
from mainspring_runtime.errors import JobError, PermanentError, RetryableError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three files, one of them larger than a chunk."""
    source = tmp_path / "version"
    (source / "data/deep er").mkdir(parents=True)
    (source / "model.bin").write_bytes(bytes(range(256)) * 40_000)
    (source / "data/deep er/ünï.txt").write_text("text")
    (source / "empty").touch()
    return source


@pytest.fixture
def published(directory: Path, tmp_path: Path) -> Published:
    return artifacts.publish(directory, (tmp_path / "store/models").as_uri())


def stored(published: Published) -> Path:
    from urllib.parse import unquote

    return Path(unquote(published.uri.removeprefix("file://")))


def test_a_directory_comes_back_as_it_was(directory: Path, published: Published, tmp_path: Path) -> None:
    manifest = artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")
    assert [file.path for file in manifest.files] == ["data/deep er/ünï.txt", "empty", "model.bin"]
    for file in (*manifest.files, artifacts.File("manifest.json", 0, "")):
        assert (tmp_path / "fetched" / file.path).read_bytes() == (directory / file.path).read_bytes()


def test_the_digest_is_that_of_the_manifest_and_names_the_place(directory: Path, published: Published) -> None:
    content = (directory / "manifest.json").read_bytes()
    assert published.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert published.uri.endswith(f"/store/models/{published.digest.removeprefix('sha256:')}/")
    assert published.size == sum(entry["size"] for entry in json.loads(content)) == 10_240_004
    assert (stored(published) / "manifest.json").read_bytes() == content


def test_publishing_again_changes_nothing(directory: Path, published: Published, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in stored(published).rglob("*")}
    assert artifacts.publish(directory, (tmp_path / "store/models").as_uri() + "/") == published
    assert {path: path.stat().st_mtime_ns for path in stored(published).rglob("*")} == before


@pytest.mark.parametrize("damage", ["manifest.json", "model.bin", "data/deep er/ünï.txt"])
def test_an_incomplete_upload_is_repaired(directory: Path, published: Published, tmp_path: Path, damage: str) -> None:
    (stored(published) / damage).unlink()
    assert artifacts.publish(directory, (tmp_path / "store/models").as_uri()) == published
    artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")


def test_only_the_wanted_files_are_fetched(published: Published, tmp_path: Path) -> None:
    artifacts.fetch(published.uri, published.digest, tmp_path / "fetched", only={"empty", "not there"})
    assert sorted(path.name for path in (tmp_path / "fetched").iterdir()) == ["empty", "manifest.json"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["manifest.json", "model.bin"])
def test_changed_bytes_are_repaired_by_publishing_again(
    directory: Path, published: Published, tmp_path: Path, damage: str
) -> None:
    flip(stored(published) / damage)
    assert artifacts.publish(directory, (tmp_path / "store/models").as_uri()) == published
    artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        (flip, "model.bin", "ArtifactDigestMismatch"),
        (flip, "manifest.json", "ArtifactDigestMismatch"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "model.bin", "ArtifactDigestMismatch"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "model.bin", "ArtifactDigestMismatch"),
        (lambda path: path.write_bytes(b""), "data/deep er/ünï.txt", "ArtifactDigestMismatch"),
        (Path.unlink, "model.bin", "ArtifactNotFound"),
        (Path.unlink, "manifest.json", "ArtifactNotFound"),
    ],
)
def test_a_changed_or_missing_file_is_named_and_never_left_behind(
    published: Published, tmp_path: Path, change: Callable[[Path], object], path: str, reason: str
) -> None:
    change(stored(published) / path)
    with pytest.raises(PermanentError) as caught:
        artifacts.fetch(published.uri, published.digest, tmp_path / "fetched")
    assert caught.value.reason == reason
    assert path in caught.value.message
    assert not (tmp_path / "fetched" / path).exists()


def test_another_digest_is_a_mismatch(published: Published, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        artifacts.fetch(published.uri, "sha256:" + "0" * 64, tmp_path / "fetched")
    assert caught.value.reason == "ArtifactDigestMismatch"
    assert not list((tmp_path / "fetched").glob("*"))


@pytest.mark.parametrize(
    "entries",
    [
        [{"path": "../escape", "size": 1, "sha256": "0" * 64}],
        [{"path": "/etc/passwd", "size": 1, "sha256": "0" * 64}],
        [{"path": "a/../../b", "size": 1, "sha256": "0" * 64}],
        [{"path": "a//b", "size": 1, "sha256": "0" * 64}],
        [{"path": "manifest.json", "size": 1, "sha256": "0" * 64}],
        [{"path": "a", "size": 1}],
        {"path": "a"},
        "text",
    ],
)
def test_a_malicious_or_broken_manifest_is_refused(tmp_path: Path, entries: object) -> None:
    content = json.dumps(entries).encode()
    (tmp_path / "store").mkdir()
    (tmp_path / "store/manifest.json").write_bytes(content)
    with pytest.raises(PermanentError) as caught:
        artifacts.fetch((tmp_path / "store").as_uri(), artifacts.digest_of(content), tmp_path / "fetched")
    assert caught.value.reason == "InvalidArtifact"
    assert not (tmp_path / "escape").exists()


def test_links_are_not_published(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    (directory / "data/link").symlink_to(tmp_path / "token")
    with pytest.raises(PermanentError, match="data/link is not a regular file"):
        artifacts.publish(directory, (tmp_path / "store").as_uri())
    assert not (tmp_path / "store").exists()


def test_an_empty_directory_is_not_published(tmp_path: Path) -> None:
    (tmp_path / "version").mkdir()
    with pytest.raises(PermanentError, match="no files to publish"):
        artifacts.publish(tmp_path / "version", (tmp_path / "store").as_uri())


def test_a_place_that_does_not_exist_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        artifacts.fetch((tmp_path / "nowhere").as_uri(), "sha256:" + "0" * 64, tmp_path / "fetched")
    assert caught.value.reason == "ArtifactNotFound"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("uri", ["s3:///path", "ftp://host/x", "nothing", "file://", "s3://"])
def test_a_url_that_cannot_be_opened_is_bad_input(tmp_path: Path, uri: str) -> None:
    with pytest.raises(PermanentError) as caught:
        artifacts.fetch(uri, "sha256:" + "0" * 64, tmp_path)
    assert caught.value.reason == "InvalidUri"


def test_a_store_that_does_not_answer_is_worth_another_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring_runtime import stores

    monkeypatch.setattr(stores, "RETRIES", {"max_retries": 0})
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RetryableError) as caught:
        artifacts.fetch("s3://bucket/models/x", "sha256:" + "0" * 64, tmp_path)
    assert caught.value.reason == "ArtifactStoreUnavailable"
    assert "s3://bucket/models/x could not be reached" in caught.value.message
    assert "\n" not in caught.value.message


names = st.text("abcü.-_ ", min_size=1, max_size=8).filter(lambda name: name.strip(". ") == name)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=50), min_size=1, max_size=5
    )
)
def test_any_directory_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("trip")
    written = {}
    for path, content in files.items():
        target = root / "in" / path
        # A name cannot be a file and a directory.
        if target.is_dir() or any(parent.is_file() for parent in target.parents):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        written[path] = content
    made = artifacts.publish(root / "in", (root / "store").as_uri())
    manifest = artifacts.fetch(made.uri, made.digest, root / "out")
    assert {file.path: (root / "out" / file.path).read_bytes() for file in manifest.files} == written
    assert manifest.digest == artifacts.describe(root / "in").digest == made.digest


def test_the_server_can_import_it_without_the_libraries_of_jobs() -> None:
    program = (
        "import sys, mainspring_runtime.artifacts, mainspring_runtime.errors, mainspring_runtime.__main__;"
        "heavy = {'pyarrow', 'pandas', 'duckdb', 'sklearn', 'numpy', 'httpx', 'pydantic'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_errors_of_a_job_carry_reason_message_and_details() -> None:
    error: JobError = PermanentError("InvalidRows", "3 rows are invalid", ["x", "y"])
    assert (str(error), error.reason, error.details) == ("3 rows are invalid", "InvalidRows", ("x", "y"))


def test_a_signature_lies_beside_the_manifest(directory: Path, published: Published, tmp_path: Path) -> None:
    (directory / "model.sig").write_text("signature")
    destination = (tmp_path / "store/models").as_uri()
    assert artifacts.publish(directory, destination) == published
    fetched = tmp_path / "fetched"
    manifest = artifacts.fetch(published.uri, published.digest, fetched)
    assert not (fetched / "model.sig").exists()
    assert artifacts.fetch_signature(published.uri, manifest, fetched) == b"signature"
    assert (fetched / "model.sig").read_text() == "signature"


def test_a_signature_can_be_brought_later(directory: Path, published: Published, tmp_path: Path) -> None:
    manifest = artifacts.describe(directory)
    assert artifacts.fetch_signature(published.uri, manifest, tmp_path) is None
    (directory / "model.sig").write_text("signature")
    assert artifacts.publish_signature(directory, (tmp_path / "store/models").as_uri()) == published.digest
    assert artifacts.fetch_signature(published.uri, manifest, tmp_path) == b"signature"


def test_a_signature_alone_is_nothing_to_publish(tmp_path: Path) -> None:
    (tmp_path / "version").mkdir()
    (tmp_path / "version/model.sig").write_text("signature")
    with pytest.raises(PermanentError, match="has no files to publish"):
        artifacts.publish(tmp_path / "version", (tmp_path / "store").as_uri())


def test_a_signature_deeper_down_is_a_file_like_any_other(directory: Path) -> None:
    (directory / "data/model.sig").write_text("signature")
    assert "data/model.sig" in {file.path for file in artifacts.describe(directory).files}
