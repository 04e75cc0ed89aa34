"""The mounted file that says what to do: looked at often, read when it changed.

The kubelet exchanges a whole directory by a symbolic link, so a new file is another inode, and is never half written.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from mainspring_runtime.serve.splitting import wire
from mainspring_runtime.serve.splitting.wire import Split

Identity = tuple[int, int, int]


class SplitFile:
    """`split` is what was last read, and stays so while what is there cannot be read; `reason` says why it cannot."""

    def __init__(self, directory: str) -> None:
        self._path = Path(directory) / wire.SPLIT_KEY
        self._seen: Identity | None = None
        self.split: Split | None = None
        self.digest = ""
        self.reason: str | None = None

    def look(self) -> bool:
        """Whether it changed. Takes microseconds if not, and never raises."""
        try:
            identity = self._identity()
            if identity == self._seen and self.reason is None:
                return False
            content = self._path.read_bytes() if identity is not None else None
        except OSError as error:
            self.reason = f"{self._path} cannot be read: {error.strerror or error}"
            return False
        return self._take(identity, content)

    def _identity(self) -> Identity | None:
        """None when there is no file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _take(self, identity: Identity | None, content: bytes | None) -> bool:
        try:
            split = None if content is None else _decode(content)
        except msgspec.DecodeError as error:
            self.reason = f"{self._path} is not a split: {error}"
            return False
        digest = "" if content is None else wire.digest(content)
        changed = digest != self.digest
        self._seen, self.split, self.digest, self.reason = identity, split, digest, None
        return changed


def _decode(content: bytes) -> Split:
    split = msgspec.json.decode(content, type=Split)
    if split.format != wire.FORMAT:
        raise msgspec.ValidationError(f"format {split.format} is not known; this server knows {wire.FORMAT}")
    return split
