"""Objects of a store (s3, gs, az) or of a mounted volume (file) as a source."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import obstore
from obstore.store import ObjectStore

from mainspring_runtime import stores
from mainspring_runtime.data.reading import SourceFile
from mainspring_runtime.errors import RetryableError

CONCURRENT_OBJECTS = 4
CHUNK_BYTES = 4 * 1024 * 1024
STORE = "Source"


@dataclass(frozen=True)
class Found:
    """An object: path below the root, size in bytes, and what the store says about its version."""

    path: str
    size: int
    e_tag: str | None
    last_modified: str

    @property
    def version(self) -> str:
        """Content tags survive a copy, so the time counts only where there is none."""
        return self.e_tag or self.last_modified


@dataclass(frozen=True)
class StoreSource:
    """A single object, or all objects below a prefix that ends in a slash."""

    uri: str
    downloads: Path
    _root: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_root", self.uri if self.uri.endswith("/") else self.uri.rpartition("/")[0] + "/")

    @cached_property
    def _store(self) -> ObjectStore:
        return stores.open_store(self._root)

    @cached_property
    def _found(self) -> list[Found]:
        with stores.failures(self.uri, STORE):
            try:
                found = self._list() if self.uri.endswith("/") else [_describe(obstore.head(self._store, self._name))]
            except FileNotFoundError as error:
                if not stores.is_absent(error):
                    raise
                found = []
        if not found:
            raise RetryableError(
                "SourceNotFound",
                f"there is nothing at {self.uri}; check spec.source.uri, or wait for the data to arrive",
            )
        return found

    @property
    def _name(self) -> str:
        """A single object, below the root."""
        name = self.uri.removeprefix(self._root)
        return unquote(name) if self.uri.startswith("file://") else name

    def versions(self) -> list[list[str]]:
        return [[item.path, str(item.size), item.version] for item in self._found]

    def fetch(self) -> list[SourceFile]:
        self.downloads.mkdir(parents=True, exist_ok=True)
        numbered = list(enumerate(self._found))
        with stores.failures(self.uri, STORE), ThreadPoolExecutor(CONCURRENT_OBJECTS) as pool:
            return list(pool.map(lambda item: self._make_local(*item), numbered))

    def _list(self) -> list[Found]:
        listed = [_describe(meta) for batch in obstore.list(self._store) for meta in batch]
        return sorted((item for item in listed if item.size and not _is_hidden(item.path)), key=lambda item: item.path)

    def _make_local(self, number: int, item: Found) -> SourceFile:
        """Under a name of ours: DuckDB would take `*` and `[` in a path for a pattern."""
        target = self.downloads / f"{number:05d}{''.join(Path(item.path).suffixes[-2:])}"
        if self.uri.startswith("file://"):
            target.symlink_to(Path(unquote(self._root.removeprefix("file://"))) / item.path)
        else:
            self._download(item, target)
        return SourceFile(target, self._root + item.path)

    def _download(self, item: Found, target: Path) -> None:
        # The store refuses when the object is no longer the one that was listed.
        result = obstore.get(self._store, item.path, options={"if_match": item.e_tag} if item.e_tag else None)
        with target.open("wb") as sink:
            for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
                sink.write(chunk)


def _describe(meta: Mapping[str, Any]) -> Found:
    return Found(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"].isoformat())


def _is_hidden(path: str) -> bool:
    """Markers and check-point folders of other tools (`_SUCCESS`, `_delta_log/`, `.crc` files)."""
    return any(part.startswith(("_", ".")) for part in path.split("/"))
