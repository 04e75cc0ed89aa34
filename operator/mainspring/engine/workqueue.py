"""The work queue, with the semantics of controller-runtime's.

A key is handed out to one worker at a time. A key added while it is being worked on is handed out once more afterwards;
added any number of times while it waits, it is handed out once. `add_after` sets an alarm; a later call for the same key
replaces it, because every reconcile says anew when it wants to be called.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    def __init__(self) -> None:
        self._waiting: OrderedDict[K, None] = OrderedDict()
        self._active: set[K] = set()
        self._dirty: set[K] = set()
        self._alarms: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._dirty)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being worked on; alarms may still be set."""
        return not (self._waiting or self._active or self._dirty)

    def add(self, key: K) -> None:
        """Never fails and never waits, so that a watch handler may call it."""
        if self._closed:
            return
        self._cancel_alarm(key)
        if key in self._active:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        if self._closed:
            return
        self._cancel_alarm(key)
        self._alarms[key] = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._ring, key)

    def forget(self, key: K) -> None:
        self._cancel_alarm(key)

    async def get(self) -> K | None:
        """The next key, now active; None once the queue is closed."""
        while not (self._closed or self._waiting):
            self._wake.clear()
            await self._wake.wait()
        if self._closed:
            return None
        key, _ = self._waiting.popitem(last=False)
        self._active.add(key)
        return key

    def done(self, key: K) -> None:
        self._active.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def close(self) -> None:
        """Wakes all workers; what is active may finish."""
        self._closed = True
        for key in list(self._alarms):
            self._cancel_alarm(key)
        self._wake.set()

    def _ring(self, key: K) -> None:
        self._alarms.pop(key, None)
        self.add(key)

    def _cancel_alarm(self, key: K) -> None:
        if handle := self._alarms.pop(key, None):
            handle.cancel()
