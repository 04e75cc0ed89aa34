"""How it is signed: a DSSE envelope in a Sigstore bundle (JSON), which names the key by its fingerprint.

Sources: DSSE 1.0 (the encoding that is signed), the Sigstore bundle format 0.3. Certificates and transparency logs, which
the format knows as well, are refused: what counts here is the key.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey

from mainspring_runtime.signing import keys

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class NotVerifiedError(ValueError):
    """The bundle proves nothing; the text says why and what to do."""


@dataclass(frozen=True)
class Bundle:
    """A payload with one signature. `hint` is the fingerprint of the key; older signers leave it out."""

    payload: bytes
    signature: bytes
    hint: str | None


def sign(payload: bytes, key: EllipticCurvePrivateKey) -> bytes:
    """The bundle for a payload; different bytes each time, since ECDSA draws a number."""
    signature = key.sign(_encoded(payload), ECDSA(keys.hash_of(key.public_key())))
    value = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": keys.fingerprint(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(value, separators=(",", ":")).encode()


def verify(content: bytes, trusted: Sequence[EllipticCurvePublicKey]) -> tuple[bytes, EllipticCurvePublicKey]:
    """The payload that one of the trusted keys has signed, and that key. Raises `NotVerifiedError`."""
    bundle = parse(content)
    named = [key for key in trusted if bundle.hint in (None, keys.fingerprint(key))]
    if not named:
        known = ", ".join(keys.shown(keys.fingerprint(key)) for key in trusted)
        raise NotVerifiedError(f"it was made with the key {keys.shown(bundle.hint or '')}, which is none of {known}")
    for key in named:
        if _is_signed_by(bundle, key):
            return bundle.payload, key
    names = ", ".join(keys.shown(keys.fingerprint(key)) for key in named)
    raise NotVerifiedError(f"it does not verify with the key {names}: it was changed, or another key made it")


def parse(content: bytes) -> Bundle:
    """A bundle from its JSON; nothing is proved yet. Raises `NotVerifiedError`."""
    try:
        value = json.loads(content)
        if value["mediaType"] != MEDIA_TYPE:
            raise NotVerifiedError(f"its media type is {str(value['mediaType'])[:200]!r}, not {MEDIA_TYPE!r}")
        envelope, material = value["dsseEnvelope"], value["verificationMaterial"]
        if "publicKey" not in material:
            raise NotVerifiedError("it was not made with a key: use `model_signing sign key`")
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise NotVerifiedError(f"its payload is {str(envelope['payloadType'])[:200]!r}, not {PAYLOAD_TYPE!r}")
        (signature,) = envelope["signatures"]
        return Bundle(_decoded(envelope["payload"]), _decoded(signature["sig"]), _hint(material["publicKey"]))
    except NotVerifiedError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotVerifiedError(f"it is no Sigstore bundle: {type(error).__name__}: {error}") from error


def _hint(public_key: dict[str, str]) -> str | None:
    hint = public_key.get("hint")
    return str(hint) if hint else None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NotVerifiedError(f"it holds text that is not base64: {error}") from error


def _is_signed_by(bundle: Bundle, key: EllipticCurvePublicKey) -> bool:
    try:
        key.verify(bundle.signature, _encoded(bundle.payload), ECDSA(keys.hash_of(key)))
    except InvalidSignature:
        return False
    return True


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the type of the payload is signed with it."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
