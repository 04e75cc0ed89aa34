"""Keys in PEM: elliptic curves P-256, P-384 and P-521, each with its own hash, as the format has them.

Problems are `RetryableError`s: a key comes from a Secret of the user's own, and a corrected one is read at the next start.
"""

from __future__ import annotations

import hashlib
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from mainspring_runtime.errors import RetryableError

HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
CURVES = "elliptic curves P-256, P-384 and P-521"
SHOWN_DIGITS = 12
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


def public_keys(pem: str, where: str) -> tuple[EllipticCurvePublicKey, ...]:
    """All keys of a PEM text, in its order. `where` is named in messages.

    Raises `RetryableError("VerificationKeyInvalid")`.
    """
    blocks = [match[0] for match in _BLOCK.finditer(pem)]
    if not blocks:
        raise _bad_public(where, "holds no public key in PEM")
    return tuple(_public_key(block, f"{where}, key {number}") for number, block in enumerate(blocks, start=1))


def private_key(pem: str, password: str | None, where: str) -> EllipticCurvePrivateKey:
    """The key of a PEM text, decrypted. Raises `RetryableError("SigningKeyInvalid")`."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password.encode() if password else None)
    except TypeError as error:  # a password is missing, or there is one for a key without
        advice = "a password" if not password else "no password: remove it, or encrypt the key"
        raise _bad_private(where, f"needs {advice} (key `password` of the same Secret)") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "or its password is wrong" if password else "which must start with -----BEGIN"
        raise _bad_private(where, f"is not a private key in PEM, {why}") from error
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in HASHES:
        raise _bad_private(where, f"is a {_kind(key)} key; it must be one of the {CURVES}")
    return key


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """Hexadecimal SHA-256 of the key in PEM, by which a signature names the key that made it."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def shown(whole: str) -> str:
    """A fingerprint as people compare it."""
    return whole[:SHOWN_DIGITS]


def hash_of(key: EllipticCurvePublicKey) -> hashes.HashAlgorithm:
    """The hash that goes with the curve of a key."""
    return HASHES[key.curve.name]()


def _public_key(block: str, where: str) -> EllipticCurvePublicKey:
    if "PRIVATE" in block.splitlines()[0]:
        raise _bad_public(where, "is a private key; keep that to whoever signs, and put the public one here")
    try:
        key = serialization.load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_public(where, "is not a public key in PEM") from error
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise _bad_public(where, f"is a {_kind(key)} key; it must be one of the {CURVES}")
    return key


def _kind(key: object) -> str:
    if isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey):
        return key.curve.name
    return type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")


def _bad_public(where: str, problem: str) -> RetryableError:
    return RetryableError("VerificationKeyInvalid", f"{where} {problem}")


def _bad_private(where: str, problem: str) -> RetryableError:
    return RetryableError("SigningKeyInvalid", f"{where} {problem}")
