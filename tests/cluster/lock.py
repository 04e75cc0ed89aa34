"""One at a time: a lock file that the kernel lets go when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.progress import say


@contextmanager
def held(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock `path`; wait, and say so, while somebody else is `doing` the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is {doing}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
