"""The `model_signing` program and we read each other's signatures, and refuse the same changes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.signing import keys, verification
from tests.interop import environments
from tests.unit.runtime.signing import versions

FILES = ("model.skops", "sub/weights", "sub-tree", "sub.json")
CURVES = {"prime256v1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Pair:
    """Keys as the guide has users make them."""

    private: Path
    public: Path

    @property
    def fingerprint(self) -> str:
        (key,) = keys.public_keys(self.public.read_text(), "public.pem")
        return keys.fingerprint(key)

    def sign(self, directory: Path) -> None:
        """With our code."""
        versions.sign(directory, keys.private_key(self.private.read_text(), None, "private.pem"))


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=LIMIT_SECONDS)


def make_pair(root: Path, curve: str = "prime256v1") -> Pair:
    root.mkdir(parents=True, exist_ok=True)
    pair = Pair(root / "private.pem", root / "public.pem")
    openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", pair.private)
    openssl("ec", "-in", pair.private, "-pubout", "-out", pair.public)
    return pair


@dataclass(frozen=True)
class Program:
    """`model_signing` in its own environment."""

    python: Path

    def run(self, *words: str | Path) -> str:
        """What it says; an AssertionError when it fails."""
        done = subprocess.run(
            [self.python, "-m", "model_signing", *words], capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sign(self, directory: Path, pair: Pair, *more: str | Path) -> None:
        where = directory / artifacts.SIGNATURE
        self.run("sign", "key", directory, "--signature", where, "--private_key", pair.private, *more)

    def verify(self, directory: Path, pair: Pair, *more: str | Path) -> str:
        where = directory / artifacts.SIGNATURE
        return self.run("verify", "key", directory, "--signature", where, "--public_key", pair.public, *more)


@pytest.fixture(scope="session")
def program() -> Program:
    return Program(environments.python("model-signing"))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path / "keys")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return versions.write_files(tmp_path / "source")


def our_verdict(published: artifacts.Published, root: Path, pair: Pair) -> str:
    """The fingerprint of the key, or the reason of the refusal with the file that it names."""
    shutil.rmtree(root / "fetched", ignore_errors=True)
    try:
        manifest = artifacts.fetch(published.uri, published.digest, root / "fetched")
        return verification.verify(published.uri, root / "fetched", manifest, pair.public.read_text(), "model-signing")
    except (PermanentError, RetryableError) as error:
        return f"{error.reason}: {' '.join(error.details)}"


def publish(source: Path, root: Path) -> artifacts.Published:
    return artifacts.publish(source, (root / "store").as_uri())


@pytest.mark.parametrize("curve", CURVES, ids=CURVES.get)
def test_we_verify_what_it_signed_before_it_was_published(
    program: Program, source: Path, tmp_path: Path, curve: str
) -> None:
    pair = make_pair(tmp_path / "keys", curve)
    program.sign(source, pair)
    assert our_verdict(publish(source, tmp_path), tmp_path, pair) == pair.fingerprint


@pytest.mark.parametrize("ignored", [True, False])
def test_we_verify_what_it_signed_after_it_was_fetched(
    program: Program, source: Path, tmp_path: Path, pair: Pair, ignored: bool
) -> None:
    published = publish(source, tmp_path)
    artifacts.fetch(published.uri, published.digest, tmp_path / "copy")
    more: list[str | Path] = ["--ignore-paths", tmp_path / "copy/manifest.json"] if ignored else []
    program.sign(tmp_path / "copy", pair, *more)
    assert publish(tmp_path / "copy", tmp_path) == published
    assert our_verdict(published, tmp_path, pair) == pair.fingerprint


@pytest.mark.parametrize("curve", CURVES, ids=CURVES.get)
def test_it_verifies_what_we_signed(program: Program, source: Path, tmp_path: Path, curve: str) -> None:
    """Also with the manifest beside the files: the signature itself says that it is left out."""
    pair = make_pair(tmp_path / "keys", curve)
    pair.sign(source)
    assert "Verification succeeded" in program.verify(source, pair)
    published = publish(source, tmp_path)
    assert our_verdict(published, tmp_path, pair) == pair.fingerprint
    assert (tmp_path / "fetched/manifest.json").is_file()
    assert "Verification succeeded" in program.verify(tmp_path / "fetched", pair)


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CHANGES: dict[str, Callable[[Path], None]] = {"change": change_a_byte, "remove": Path.unlink, "add": Path.touch}
CASES = [*(("change", name) for name in FILES), *(("remove", name) for name in FILES), ("add", "code.py")]


@dataclass(frozen=True)
class Signed:
    """A directory that is copied before it is changed, and the keys of whoever signed it."""

    directory: Path
    pair: Pair


@pytest.fixture(scope="session", params=["ours", "theirs"])
def signed(program: Program, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Signed:
    root = tmp_path_factory.mktemp("signed")
    made = Signed(versions.write_files(root / "source"), make_pair(root / "keys"))
    if request.param == "ours":
        made.pair.sign(made.directory)
    else:
        program.sign(made.directory, made.pair)
    return made


@pytest.mark.parametrize(("change", "file"), CASES)
def test_both_refuse_the_same_change(program: Program, signed: Signed, tmp_path: Path, change: str, file: str) -> None:
    source, pair = Path(shutil.copytree(signed.directory, tmp_path / "source")), signed.pair
    CHANGES[change](source / file)
    with pytest.raises(AssertionError, match="Signature mismatch"):
        program.verify(source, pair)
    # Published anew, so that its digest is right: only the signature can tell.
    assert our_verdict(publish(source, tmp_path), tmp_path, pair) == f"SignatureMismatch: {file}"


def test_both_refuse_another_key(program: Program, source: Path, tmp_path: Path, pair: Pair) -> None:
    other = make_pair(tmp_path / "other")
    program.sign(source, other)
    with pytest.raises(AssertionError, match="Key mismatch"):
        program.verify(source, pair)
    assert our_verdict(publish(source, tmp_path), tmp_path, pair) == "SignatureInvalid: model.sig"


def test_an_encrypted_key_signs_alike(program: Program, source: Path, tmp_path: Path, pair: Pair) -> None:
    encrypted = tmp_path / "encrypted.pem"
    openssl("pkcs8", "-topk8", "-in", pair.private, "-out", encrypted, "-passout", "pass:secret")
    versions.sign(source, keys.private_key(encrypted.read_text(), "secret", "private.pem"))
    assert "Verification succeeded" in program.verify(source, pair)


def test_rotation_needs_one_file_with_both_keys(program: Program, source: Path, tmp_path: Path, pair: Pair) -> None:
    old = make_pair(tmp_path / "old")
    program.sign(source, old)
    both = Pair(pair.private, tmp_path / "both.pem")
    both.public.write_text(old.public.read_text() + pair.public.read_text())
    assert our_verdict(publish(source, tmp_path), tmp_path, both) == old.fingerprint
