"""Small published versions, keys, and signatures over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from mainspring_runtime import artifacts
from mainspring_runtime.artifacts import Manifest, Published
from mainspring_runtime.signing import bundle, statement, verification

SECRET = "model-signing"


def new_key(curve: EllipticCurve | None = None) -> EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def private_pem(key: PrivateKeyTypes, password: str | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def public_pem(key: PublicKeyTypes) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def write_files(directory: Path) -> Path:
    """Names whose order differs by bytes and by parts of a path, as `model_signing` sorts them."""
    (directory / "sub").mkdir(parents=True)
    for name in ("model.skops", "sub/weights", "sub-tree", "sub.json"):
        (directory / name).write_text(f"content of {name}")
    return directory


def sign(directory: Path, key: EllipticCurvePrivateKey) -> None:
    """Put `model.sig` into a directory."""
    files = {file.path: file.sha256 for file in artifacts.describe(directory).files}
    (directory / artifacts.SIGNATURE).write_bytes(bundle.sign(statement.make("m", files), key))


@dataclass(frozen=True)
class Stored:
    """A version in a store of its own, and where it is fetched to."""

    published: Published
    fetched: Path

    @property
    def directory(self) -> Path:
        """Its files in the store."""
        return Path(unquote(self.published.uri.removeprefix("file://")))

    def fetch(self) -> Manifest:
        return artifacts.fetch(self.published.uri, self.published.digest, self.fetched)

    def verify(self, *keys: PublicKeyTypes) -> str:
        """Fetch and verify with these keys; the fingerprint of the one that signed."""
        pem = "".join(public_pem(key) for key in keys)
        return verification.verify(self.published.uri, self.fetched, self.fetch(), pem, SECRET)


def store(root: Path, source: Path) -> Stored:
    return Stored(artifacts.publish(source, (root / "store").as_uri()), root / "fetched")
