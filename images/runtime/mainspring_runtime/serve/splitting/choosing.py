"""Who answers a request: the stable revision, or the candidate.

By turns, a share is exact: of each hundred requests just so many. At which places is drawn anew for each hundred, because
callers have rhythms of their own: with every twentieth request, a client that asks the same twenty things over and over
would send the candidate always the same one, and the two revisions would be compared on different questions.

Requests with an id, and users that are to stay where they are, are chosen by a hash instead. One that is below a share is
below every larger one, so while the weight rises each moves once, and never back. The hash is salted with both revisions:
in another rollout other users are the first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import blake2b

from mainspring_runtime.serve.splitting.wire import Split

BLOCK = 100
BUCKETS_A_PERCENT = 100
BUCKETS = 100 * BUCKETS_A_PERCENT
HASH_BYTES = 8
REQUEST_ID = b"x-request-id"

RequestHeaders = Mapping[bytes, bytes]


class Arm(StrEnum):
    """As the counts of it are called."""

    STABLE = "stable"
    CANDIDATE = "candidate"
    MATCHED = "matched"


class Turns:
    """True for exactly `percent` of each hundred calls, at places that are drawn for each hundred."""

    def __init__(self, percent: int, sample: Callable[[range, int], list[int]] = random.sample) -> None:
        # Of the rarer of the two answers places are drawn: a tenth of the time that shuffling takes.
        self._rarer = percent <= BLOCK // 2
        self._count = percent if self._rarer else BLOCK - percent
        self._left: list[bool] = []
        self._sample = sample

    def next(self) -> bool:
        if not self._left:
            self._left = [not self._rarer] * BLOCK
            for place in self._sample(range(BLOCK), self._count):
                self._left[place] = self._rarer
        return self._left.pop()


class Chooser:
    """Chooses for one split. Of each request the first that applies: `match`, the sticky value, its id, its turn."""

    def __init__(self, split: Split) -> None:
        self._match = [(name.encode(), value.encode()) for name, value in split.match.items()]
        self._sticky = _sticky(split)
        self._salted = blake2b(f"{split.revision}/{split.candidate_revision}/".encode(), digest_size=HASH_BYTES)
        self._weight = split.weight
        self._turns = Turns(split.weight)

    def choose(self, headers: RequestHeaders) -> Arm:
        if self._match and self._matches(headers):
            return Arm.MATCHED
        if not self._weight:
            return Arm.STABLE
        key = (self._sticky and self._sticky(headers)) or headers.get(REQUEST_ID)
        drawn = self.bucket(key) < self._weight * BUCKETS_A_PERCENT if key else self._turns.next()
        return Arm.CANDIDATE if drawn else Arm.STABLE

    def _matches(self, headers: RequestHeaders) -> bool:
        for name, value in self._match:  # noqa: SIM110 - for each request, and twice as fast
            if headers.get(name) != value:
                return False
        return True

    def bucket(self, key: bytes) -> int:
        """0 to 9,999, always the same for the same key and revisions."""
        hashed = self._salted.copy()
        hashed.update(key)
        return int.from_bytes(hashed.digest(), "big") % BUCKETS


def _sticky(split: Split) -> Callable[[RequestHeaders], bytes | None] | None:
    """What finds the value by which a user is known."""
    if split.sticky_header is not None:
        name = split.sticky_header.encode()
        return lambda headers: headers.get(name)
    if split.sticky_cookie is not None:
        # A comma: several Cookie headers are joined by one, and no value has one.
        cookie = re.compile(rb"(?:^|[;,])\s*%s=([^;,]*)" % re.escape(split.sticky_cookie.encode()))
        return lambda headers: _first(cookie.search(headers.get(b"cookie", b"")))
    return None


def _first(found: re.Match[bytes] | None) -> bytes | None:
    return None if found is None else found[1].strip()
