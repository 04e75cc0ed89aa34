"""Feedback tokens: what a server said about one row, signed, so that any server with the same key can count its label.

A token holds all that counting needs, so servers share no state: the version, when it was made, the prediction (place of
the class, or the value), the bin of the watched number, a digest of what these numbers refer to, and 8 random bytes that
make it unique. It is base64url of the payload and the first 16 bytes of HMAC-SHA256 over the model's name and the payload:
a token cannot be made or changed without the key, and one of another model is none of this one. It tells nothing that
its owner was not answered.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256

import numpy as np

from mainspring_runtime.model.signature import Label
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.predicting import Outputs, Results
from mainspring_runtime.serve.tensors import Array

FORMAT = 1
MAC_BYTES = 16
NONCE_BYTES = 8
MEANING_BYTES = 4
MAX_TOKEN_CHARACTERS = 256
MAX_BINS = 2**16 - 1
# Format, seconds since 1970, prediction, bin, bins in all, meaning, nonce; the version follows.
HEAD = struct.Struct(f"!BIdHH{MEANING_BYTES}s{NONCE_BYTES}s")

Clock = Callable[[], float]  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Stamp:
    """A token that was read. Without a watched number `bins` is 0."""

    version: str
    made: int
    prediction: float
    bin: int
    bins: int
    meaning: bytes
    nonce: bytes


class Signer:
    """Signs and reads the tokens of one model."""

    def __init__(self, key: str, model: str) -> None:
        self._key = key.encode()
        self._model = model.encode() + b"\0"

    def sign(self, payload: bytes) -> str:
        return base64.urlsafe_b64encode(payload + self._mac(payload)).rstrip(b"=").decode()

    def read(self, token: str) -> Stamp | None:
        """None when the token is not one of ours."""
        content = _decoded(token)
        payload, mac = content[:-MAC_BYTES], content[-MAC_BYTES:]
        if len(payload) < HEAD.size or not hmac.compare_digest(mac, self._mac(payload)) or payload[0] != FORMAT:
            return None
        _, made, prediction, place, bins, meaning, nonce = HEAD.unpack_from(payload)
        return Stamp(payload[HEAD.size :].decode(), made, prediction, place, bins, meaning, nonce)

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, self._model + payload, sha256)[:MAC_BYTES]


def _decoded(token: str) -> bytes:
    if len(token) > MAX_TOKEN_CHARACTERS:
        return b""
    try:
        return base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""


def meaning_of(task: str, classes: Sequence[Label] | None, positive: int | None) -> bytes:
    """Equal for two versions when a prediction of one can be judged by what is known of the other."""
    return blake2b(repr((task, classes and tuple(classes), positive)).encode(), digest_size=MEANING_BYTES).digest()


class Tokens:
    """The output `feedback_token`: one for each row, made in the prediction thread."""

    name = wire.FEEDBACK_OUTPUT

    def __init__(self, signer: Signer, version: str, predictions: Predictions, meaning: bytes, clock: Clock) -> None:
        self.needs: Outputs = predictions.outputs
        self._signer = signer
        self._version = version.encode()
        self._predictions = predictions
        self._meaning = meaning
        self._clock = clock
        self._bins = predictions.score_bins if predictions.score_bins <= MAX_BINS else 0

    def make(self, results: Results) -> Array:
        """Tokens [N] for what one call of the model gave."""
        values = self._predictions.values(results).tolist()
        bins = self._predictions.bins(results).tolist() if self._bins else [0] * len(values)
        made, random = int(self._clock()), os.urandom(NONCE_BYTES * len(values))
        tokens = np.empty(len(values), dtype=object)
        for row, (value, place) in enumerate(zip(values, bins, strict=True)):
            nonce = random[row * NONCE_BYTES : (row + 1) * NONCE_BYTES]
            head = HEAD.pack(FORMAT, made, value, place, self._bins, self._meaning, nonce)
            tokens[row] = self._signer.sign(head + self._version)
        return tokens
