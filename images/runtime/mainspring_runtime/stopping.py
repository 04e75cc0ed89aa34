"""Ending at once when the pod is told to go.

The first process of a container is not ended by a SIGTERM that it does not handle: an evicted, suspended or deleted Job
would hold its resources until the grace period is over. A handler of Python runs only between two steps of Python, and a
training is a single long one; so a thread of its own waits for the signal. Nothing has to be finished: what was not
published does not count.
"""

from __future__ import annotations

import os
import signal
import threading

EXIT_TERMINATED = 128 + signal.SIGTERM


def exit_on_sigterm() -> None:
    """To be called from the main thread, once."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    # Without a handler the signal would not reach the pipe.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_exit_when_told, args=(reader,), name="sigterm", daemon=True).start()


def _exit_when_told(reader: int) -> None:
    """Each byte is the number of a signal that arrived."""
    while signal.SIGTERM not in os.read(reader, 1):
        pass
    os._exit(EXIT_TERMINATED)
