"""Keys that cannot be used are explained, by the Secret that they come from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mainspring_runtime.errors import RetryableError
from mainspring_runtime.signing import keys
from tests.unit.runtime.signing.versions import new_key, private_pem, public_pem

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
K1 = ec.generate_private_key(ec.SECP256K1())
BROKEN = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


def test_all_keys_of_a_text_are_read_in_its_order() -> None:
    first, second = new_key(), new_key(ec.SECP521R1())
    text = f"old key\n{public_pem(first.public_key())}\nnew key\n{public_pem(second.public_key())}"
    found = [keys.fingerprint(key) for key in keys.public_keys(text, "here")]
    assert found == [keys.fingerprint(key.public_key()) for key in (first, second)]


def test_a_key_is_named_as_openssl_would(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "public.pem").write_text(public_pem(key.public_key()))
    told = subprocess.run(["sha256sum", tmp_path / "public.pem"], check=True, capture_output=True, text=True).stdout
    assert told.split()[0] == keys.fingerprint(key.public_key())


@pytest.mark.parametrize(
    ("pem", "told"),
    [
        ("", "here holds no public key in PEM"),
        ("ssh-ed25519 AAAA", "here holds no public key in PEM"),
        (BROKEN, "here, key 1 is not a public key in PEM"),
        (public_pem(new_key().public_key()) + BROKEN, "here, key 2 is not"),
        (private_pem(new_key()), "here, key 1 is a private key"),
        (public_pem(RSA.public_key()), "is a RSA key; it must be one of the elliptic curves P-256"),
        (public_pem(K1.public_key()), "is a secp256k1 key"),
    ],
    # Keys are drawn anew, and two processes must name their tests alike.
    ids=["empty", "ssh", "broken", "second-broken", "private", "rsa", "secp256k1"],
)
def test_what_is_no_public_key_is_explained(pem: str, told: str) -> None:
    with pytest.raises(RetryableError) as raised:
        keys.public_keys(pem, "here")
    assert raised.value.reason == "VerificationKeyInvalid"
    assert told in raised.value.message


def test_an_encrypted_private_key_is_read_with_its_password() -> None:
    key = new_key(ec.SECP384R1())
    found = keys.private_key(private_pem(key, "secret"), "secret", "here")
    assert keys.fingerprint(found.public_key()) == keys.fingerprint(key.public_key())


@pytest.mark.parametrize(
    ("pem", "password", "told"),
    [
        ("nonsense", None, "here is not a private key in PEM"),
        (public_pem(new_key().public_key()), None, "here is not a private key in PEM"),
        (private_pem(new_key(), "secret"), None, "here needs a password (key `password` of the same Secret)"),
        (private_pem(new_key(), "secret"), "wrong", "or its password is wrong"),
        (private_pem(new_key()), "secret", "here needs no password"),
        (private_pem(RSA), None, "is a RSA key"),
        (private_pem(ED25519), None, "is a Ed25519 key"),
        (private_pem(K1), None, "is a secp256k1 key"),
    ],
    ids=["nonsense", "public", "encrypted", "wrong-password", "needless-password", "rsa", "ed25519", "secp256k1"],
)
def test_what_is_no_private_key_is_explained(pem: str, password: str | None, told: str) -> None:
    with pytest.raises(RetryableError) as raised:
        keys.private_key(pem, password, "here")
    assert raised.value.reason == "SigningKeyInvalid"
    assert told in raised.value.message
