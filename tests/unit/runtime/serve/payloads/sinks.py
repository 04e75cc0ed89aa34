"""Stores that tests can look into, hold up, and break."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mainspring_runtime.errors import RetryableError

PATIENCE_SECONDS = 30.0


@dataclass
class Memory:
    """Keeps what it gets. `put` waits until `open` is set, and fails as often as `broken` says."""

    parts: Queue[tuple[str, pa.Table]] = field(default_factory=Queue)
    open: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    broken: int = 0
    deleted_before: Queue[int] = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self.open.set()

    def put(self, path: str, content: bytes) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE_SECONDS), "a test forgot to let the store go on"
        if self.broken:
            self.broken -= 1
            raise RetryableError("ArtifactStoreUnavailable", "the store is broken")
        self.parts.put((path, pq.read_table(pa.BufferReader(content))))

    def delete_before(self, moment: int) -> int:
        self.deleted_before.put(moment)
        return 0

    def next(self) -> tuple[str, pa.Table]:
        """The next part that is written."""
        return self.parts.get(timeout=PATIENCE_SECONDS)

    def rows(self) -> list[dict[str, Any]]:
        """Of the next part."""
        rows: list[dict[str, Any]] = self.next()[1].to_pylist()
        return rows
