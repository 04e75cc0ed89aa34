"""Waiting for a condition, never for an amount of time."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.1

Check = Callable[[], str | None]
"""Returns None when the condition holds, else what is still missing."""


class StillWaiting(Exception):
    """The deadline passed; the message says what was missing."""


def until(check: Check, seconds: float, poll_seconds: float = POLL_SECONDS) -> None:
    """Return as soon as `check` finds nothing missing; raise `StillWaiting` after `seconds`."""
    deadline = time.monotonic() + seconds
    while (missing := check()) is not None:
        if time.monotonic() > deadline:
            raise StillWaiting(missing)
        time.sleep(poll_seconds)
