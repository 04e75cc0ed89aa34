"""A version is loaded when a key that is trusted has signed all of its files as they are, and never otherwise."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mainspring.api import contract
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.signing import bundle, keys, statement, verification
from tests.unit.runtime.signing import versions
from tests.unit.runtime.signing.versions import Stored

KEY = versions.new_key()
OTHER = versions.new_key()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return versions.write_files(tmp_path / "source")


@pytest.fixture
def signed(source: Path, tmp_path: Path) -> Stored:
    """A version that KEY has signed."""
    versions.sign(source, KEY)
    return versions.store(tmp_path, source)


def refused(stored: Stored, *trusted: Any) -> RetryableError:
    with pytest.raises(RetryableError) as raised:
        stored.verify(*(trusted or (KEY.public_key(),)))
    return raised.value


def change(stored: Stored, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the stored bundle."""
    path = stored.directory / artifacts.SIGNATURE
    value = json.loads(path.read_bytes())
    edit(value)
    path.write_text(json.dumps(value))


def resign(stored: Stored, edit: Callable[[dict[str, Any]], None]) -> None:
    """Have KEY sign another statement than the right one."""
    path = stored.directory / artifacts.SIGNATURE
    value = json.loads(bundle.parse(path.read_bytes()).payload)
    edit(value)
    path.write_bytes(bundle.sign(json.dumps(value).encode(), KEY))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_what_a_trusted_key_signed_is_verified(source: Path, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = versions.new_key(curve)
    versions.sign(source, key)
    stored = versions.store(tmp_path, source)
    assert stored.verify(key.public_key()) == keys.fingerprint(key.public_key())


def test_any_of_several_keys_may_have_signed(signed: Stored) -> None:
    assert signed.verify(OTHER.public_key(), KEY.public_key()) == keys.fingerprint(KEY.public_key())


def test_a_signature_is_no_part_of_the_identity(source: Path, tmp_path: Path) -> None:
    unsigned = versions.store(tmp_path, source)
    versions.sign(source, KEY)
    stored = versions.store(tmp_path, source)
    assert stored.published == unsigned.published
    assert artifacts.SIGNATURE not in {file.path for file in stored.fetch().files}


def test_a_signature_can_be_replaced(source: Path, tmp_path: Path, signed: Stored) -> None:
    versions.sign(source, OTHER)
    versions.store(tmp_path, source)
    assert signed.verify(OTHER.public_key()) == keys.fingerprint(OTHER.public_key())


def test_the_signature_of_an_earlier_start_is_not_taken_for_that_of_now(signed: Stored) -> None:
    """A container that starts again finds the files of the last time."""
    assert signed.verify(KEY.public_key())
    versions.sign(signed.directory, OTHER)
    assert refused(signed).reason == "SignatureInvalid"
    versions.sign(signed.directory, KEY)
    assert signed.verify(KEY.public_key())
    (signed.directory / artifacts.SIGNATURE).unlink()
    assert refused(signed).reason == "SignatureMissing"


def test_a_missing_signature_is_refused(source: Path, tmp_path: Path) -> None:
    error = refused(versions.store(tmp_path, source))
    assert error.reason == "SignatureMissing"
    assert "there is no model.sig at file://" in error.message
    assert "spec.verification of the Model" in error.message


def test_another_key_is_refused_and_both_are_named(signed: Stored) -> None:
    error = refused(signed, OTHER.public_key())
    assert (error.reason, error.details) == ("SignatureInvalid", ("model.sig",))
    for key in (KEY, OTHER):
        assert keys.fingerprint(key.public_key())[:12] in error.message
    assert "public.pem of Secret model-signing" in error.message


def test_a_signature_that_only_claims_to_be_of_the_key_is_refused(signed: Stored) -> None:
    def claim(value: dict[str, Any]) -> None:
        value["verificationMaterial"]["publicKey"]["hint"] = keys.fingerprint(OTHER.public_key())

    change(signed, claim)
    error = refused(signed, OTHER.public_key())
    assert error.reason == "SignatureInvalid"
    assert "does not verify with the key" in error.message


def test_older_signers_name_no_key_and_all_are_tried(signed: Stored) -> None:
    change(signed, lambda value: value["verificationMaterial"]["publicKey"].pop("hint"))
    assert signed.verify(OTHER.public_key(), KEY.public_key()) == keys.fingerprint(KEY.public_key())


def test_a_changed_payload_is_refused(signed: Stored) -> None:
    def forge(value: dict[str, Any]) -> None:
        envelope = value["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"]).replace(b"model.skops", b"model.skopz")
        envelope["payload"] = base64.b64encode(payload).decode()

    change(signed, forge)
    assert refused(signed).reason == "SignatureInvalid"


@pytest.mark.parametrize("path", ["model.skops", "sub/weights", "sub-tree", "sub.json"])
def test_every_file_counts(signed: Stored, tmp_path: Path, path: str) -> None:
    """Somebody publishes it once more with one other file, and brings the old signature."""
    forged = tmp_path / "forged"
    shutil.copytree(signed.directory, forged)
    (forged / path).write_text("other content")
    error = refused(versions.store(tmp_path, forged))
    assert (error.reason, error.details) == ("SignatureMismatch", (path,))
    assert f"{path} at file://" in error.message
    assert "was changed after it was signed" in error.message


def test_a_file_that_is_not_covered_is_refused(signed: Stored, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(signed.directory, forged)
    (forged / "code.py").write_text("print()")
    error = refused(versions.store(tmp_path, forged))
    assert (error.reason, error.details) == ("SignatureMismatch", ("code.py",))
    assert "is not covered by the signature" in error.message


def test_a_file_that_was_signed_must_be_there(signed: Stored, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(signed.directory, forged)
    (forged / "sub.json").unlink()
    (forged / "sub-tree").unlink()
    error = refused(versions.store(tmp_path, forged))
    assert (error.reason, error.details) == ("SignatureMismatch", ("sub-tree", "sub.json"))
    assert "was signed and is missing (and 1 more)" in error.message


def test_a_changed_file_in_the_store_is_found_before_the_signature_is_asked(signed: Stored) -> None:
    (signed.directory / "model.skops").write_text("content of model.skopz")
    with pytest.raises(PermanentError) as raised:
        signed.verify(KEY.public_key())
    assert (raised.value.reason, raised.value.details) == ("ArtifactDigestMismatch", ("model.skops",))


def test_a_manifest_may_be_signed_too(source: Path, tmp_path: Path) -> None:
    """By `model_signing sign key` on a directory that was fetched, and without --ignore-paths."""
    stored = versions.store(tmp_path, source)
    manifest = stored.fetch()
    files = {file.path: file.sha256 for file in manifest.files}
    for digest, reason in ((manifest.digest.removeprefix("sha256:"), ""), ("0" * 64, "SignatureMismatch")):
        statement_ = statement.make("m", files | {artifacts.MANIFEST: digest})
        (stored.directory / artifacts.SIGNATURE).write_bytes(bundle.sign(statement_, KEY))
        found = refused(stored).reason if reason else stored.verify(KEY.public_key())
        assert found == (reason or keys.fingerprint(KEY.public_key()))


def test_a_signature_that_the_manifest_lists_is_used(signed: Stored, tmp_path: Path) -> None:
    """As other tools may publish it; the entry itself needs no signature."""
    manifest = signed.fetch()
    entry = artifacts.File(artifacts.SIGNATURE, *_facts(signed.directory / artifacts.SIGNATURE))
    listed = artifacts.Manifest(tuple(sorted((*manifest.files, entry))))
    (signed.directory / artifacts.MANIFEST).write_bytes(listed.to_bytes())
    published = artifacts.Published(listed.digest, signed.published.uri, listed.size)
    stored = Stored(published, tmp_path / "again")
    assert stored.verify(KEY.public_key()) == keys.fingerprint(KEY.public_key())


def _facts(path: Path) -> tuple[int, str]:
    return path.stat().st_size, artifacts.sha256_of(path)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda value: value.update(mediaType="text/plain"), "media type is 'text/plain'"),
        (lambda value: value["verificationMaterial"].pop("publicKey"), "it was not made with a key"),
        (lambda value: value["dsseEnvelope"].update(payloadType="x"), "its payload is 'x'"),
        (lambda value: value["dsseEnvelope"].update(payload="%%"), "not base64"),
        (lambda value: value["dsseEnvelope"].update(signatures=[]), "it is no Sigstore bundle"),
        (lambda value: value["dsseEnvelope"]["signatures"].append({"sig": ""}), "it is no Sigstore bundle"),
        (lambda value: value.pop("dsseEnvelope"), "it is no Sigstore bundle"),
        (lambda value: value["verificationMaterial"].update(publicKey=[]), "it is no Sigstore bundle"),
    ],
)
def test_what_is_no_bundle_is_explained(signed: Stored, edit: Callable[[dict[str, Any]], None], told: str) -> None:
    change(signed, edit)
    error = refused(signed)
    assert error.reason == "SignatureInvalid"
    assert told in error.message


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'"mediaType"'])
def test_what_is_no_json_object_is_explained(signed: Stored, content: bytes) -> None:
    (signed.directory / artifacts.SIGNATURE).write_bytes(content)
    error = refused(signed)
    assert error.reason == "SignatureInvalid"
    assert "it is no Sigstore bundle" in error.message


def _twice(value: dict[str, Any]) -> None:
    value["predicate"]["resources"].append(value["predicate"]["resources"][0])


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda value: value.update(predicateType="https://model_signing/Digests/v0.1"), "its predicate is"),
        (lambda value: value.update(_type="other"), "its type is 'other'"),
        (lambda value: value["predicate"]["serialization"].update(hash_type="blake3"), "the hash is 'blake3'"),
        (lambda value: value["predicate"]["serialization"].update(method="shards"), "what is hashed is 'shards'"),
        (lambda value: value["predicate"]["resources"][0].update(algorithm="md5"), "the hash of model.skops is 'md5'"),
        (lambda value: value["predicate"]["resources"].pop(), "the digest of all files is"),
        (lambda value: value["predicate"]["resources"][0].update(digest="xyz"), "it is no statement about a model"),
        (lambda value: value.update(subject=[]), "it is no statement about a model"),
        (_twice, "it names model.skops twice"),
    ],
)
def test_another_statement_is_explained(signed: Stored, edit: Callable[[dict[str, Any]], None], told: str) -> None:
    resign(signed, edit)
    error = refused(signed)
    assert error.reason == "SignatureInvalid"
    assert told in error.message


def test_a_huge_signature_is_not_read(signed: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "SIGNATURE_MAX_BYTES", 100)
    error = refused(signed)
    assert (error.reason, "more than 100 bytes" in error.message) == ("SignatureInvalid", True)


def test_reasons_and_names_are_those_of_the_contract() -> None:
    assert verification.PUBLIC_KEY == contract.PUBLIC_KEY
    assert {"SignatureMissing", "SignatureInvalid", "SignatureMismatch"} == contract.SIGNATURE_REASONS
