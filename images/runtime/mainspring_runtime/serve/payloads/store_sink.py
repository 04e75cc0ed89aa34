"""Parts into the artifact store."""

from __future__ import annotations

from functools import cached_property

import obstore
from obstore.store import ObjectStore

from mainspring_runtime import payloads, stores


class StoreSink:
    """The log of a service at `uri`. The pod's credentials must allow writing, listing and deleting there."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @cached_property
    def _store(self) -> ObjectStore:
        return stores.open_store(self._uri, create=True)

    def put(self, path: str, content: bytes) -> None:
        with stores.failures(self._uri):
            obstore.put(self._store, path, content)

    def delete_before(self, moment: int) -> int:
        with stores.failures(self._uri):
            return payloads.delete_before(self._store, moment)
