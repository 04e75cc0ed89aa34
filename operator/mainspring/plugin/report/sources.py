"""What a report is made of: objects as the API server gave them, and what the monitor remembers of its windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor.records import Last, Record


@dataclass(frozen=True)
class Sources:
    """`gaps` are sentences about what could not be read."""

    monitor: Object
    now: datetime
    service: Object | None = None
    model: Object | None = None
    version: Object | None = None
    runs: tuple[Object, ...] = ()  # that the monitor started
    windows: tuple[Record, ...] = ()  # the oldest first
    last: Last | None = None
    gaps: tuple[str, ...] = ()
