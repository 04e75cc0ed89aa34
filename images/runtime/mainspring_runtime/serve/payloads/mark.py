"""Which requests are logged: decided by the id of the request alone, so the same one is logged everywhere or nowhere."""

from __future__ import annotations

import os
from hashlib import blake2b
from itertools import count

import msgspec

HASH_BYTES = 8
HASHES = 2 ** (8 * HASH_BYTES)


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Of a request that is to be logged; `size` is that of its body in bytes, as a measure of the memory that it holds."""

    request: str
    size: int


class Sampling:
    """Marks a share of requests. A request without an id gets one of its own."""

    def __init__(self, rate: float) -> None:
        self._below = int(rate * HASHES)
        self._own = f"{os.urandom(HASH_BYTES).hex()}-"
        self._numbers = count()

    def mark(self, request: str | None, size: int) -> Mark | None:
        found = request or f"{self._own}{next(self._numbers)}"
        content = found.encode(errors="replace")
        place = int.from_bytes(blake2b(content, digest_size=HASH_BYTES).digest(), "big")
        return Mark(found, size) if place < self._below else None
