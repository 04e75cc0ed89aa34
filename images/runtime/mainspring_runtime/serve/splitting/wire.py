"""The JSON of a split and of what was counted of it: the structs of `mainspring.api.splitting`.

They are written a second time because importing the contract imports pydantic; a unit test compares the two. Fields that
have their default are left out.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from itertools import accumulate, repeat
from typing import Annotated

import msgspec
from msgspec import field

SPLIT_KEY = "split.json"
SPLIT_DIR = "/etc/mainspring/split"
SNAPSHOT_PATH = "/split/snapshot"
FORMAT = 1

FORWARDED_HEADER = b"mainspring-forwarded"
SHADOW_HEADER = b"mainspring-shadow"
SECONDS_HEADER = b"mainspring-seconds"

SECONDS_FIRST = 50e-6
SECONDS_GROWTH = 1.1
SECONDS_BOUNDS = tuple(
    accumulate(repeat(SECONDS_GROWTH, 128), lambda bound, growth: bound * growth, initial=SECONDS_FIRST)
)
DIGEST_LETTERS = 16

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]


def digest(content: bytes) -> str:
    """Of the file."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_LETTERS]


class Split(msgspec.Struct, frozen=True, rename="camel"):
    revision: str
    rollout: str
    host: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    candidate_revision: str
    format: int = FORMAT
    stage: int = 0
    weight: Percent = 0
    mirror: Percent = 0
    match: dict[str, str] = {}
    sticky_header: str | None = None
    sticky_cookie: str | None = None
    tolerance: float = 0.001


class ArmCounts(msgspec.Struct, rename="camel", omit_defaults=True):
    """Counted in, and not only encoded."""

    requests: int = 0
    errors: int = 0
    failures: dict[str, int] = {}
    seconds: dict[int, int] = {}

    def took(self, seconds: float) -> None:
        """A request that is no error."""
        self.requests += 1
        self._time(seconds)

    def failed(self, kind: str, seconds: float | None = None) -> None:
        """One that is; `seconds` only if it is known how long the server had it, infinite for a time-out."""
        self.requests += 1
        self.errors += 1
        self.failures[kind] = self.failures.get(kind, 0) + 1
        if seconds is not None:
            self._time(seconds)

    def _time(self, seconds: float) -> None:
        bucket = bisect_left(SECONDS_BOUNDS, seconds)
        self.seconds[bucket] = self.seconds.get(bucket, 0) + 1


class StageCounts(msgspec.Struct, rename="camel", omit_defaults=True):
    """Counted in, too."""

    stage: int
    stable: ArmCounts = field(default_factory=ArmCounts)
    candidate: ArmCounts = field(default_factory=ArmCounts)
    matched: ArmCounts = field(default_factory=ArmCounts)
    mirrored: ArmCounts = field(default_factory=ArmCounts)
    compared: int = 0
    disagreed: int = 0
    skipped: int = 0


class SplitSnapshot(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    revision: str
    epoch: str
    format: int = FORMAT
    final: bool = False
    applied: str = ""
    reason: str | None = None
    rollout: str = ""
    stages: list[StageCounts] = []
