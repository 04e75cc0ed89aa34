"""Content hashes: what a cached thing was made from, as a short name.

Equal inputs give equal names on every machine: only contents, relative paths and
the executable bit count, never times, owners or absolute paths.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

KEY_LENGTH = 12
IGNORED_DIRECTORIES = frozenset({"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
IGNORED_SUFFIXES = frozenset({".pyc", ".pyo"})


def key(*parts: str) -> str:
    """The name of what these texts describe: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        # The length keeps ("ab", "c") apart from ("a", "bc").
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:KEY_LENGTH]


def tree(root: Path, relative: Iterable[str]) -> str:
    """The hash of files and whole directories below `root`."""
    lines = [_line(root, path) for path in sorted(_files(root, relative))]
    return key(*lines)


def _files(root: Path, relative: Iterable[str]) -> Iterator[Path]:
    for name in relative:
        path = root / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _walk(path)
        else:
            raise FileNotFoundError(f"{path} does not exist")


def _walk(directory: Path) -> Iterator[Path]:
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name not in IGNORED_DIRECTORIES]
        for name in files:
            if Path(name).suffix not in IGNORED_SUFFIXES:
                yield Path(parent, name)


def _line(root: Path, path: Path) -> str:
    executable = "x" if os.access(path, os.X_OK) else "-"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{executable} {digest} {path.relative_to(root).as_posix()}"
