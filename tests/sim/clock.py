"""Time of a simulation: it stands still until the driver moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds)

    def text(self) -> str:
        """As Kubernetes writes times."""
        return self.now().replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")

    def tick(self, seconds: float) -> None:
        self.seconds += seconds


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop on that clock: alarms ring when the driver has moved the clock to them, never by waiting."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarms: list[asyncio.TimerHandle] = []
        super().__init__()

    def time(self) -> float:
        return self._clock.seconds

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        self._alarms.append(handle)
        return handle

    def next_alarm(self) -> float | None:
        """When the next alarm rings, in seconds of the clock."""
        self._alarms = [h for h in self._alarms if not h.cancelled() and h.when() > self.time()]
        return min((h.when() for h in self._alarms), default=None)
