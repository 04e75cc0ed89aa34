"""Reading model servers: what their internal port tells, by the contracts of `mainspring.api`: `monitoring`, `splitting`, `load`.

ServerError
├── Silent        no answer, or one that makes no sense: may be better next time
└── Unsuitable    it answers, but not as a server of ours: its image has no counters
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import aiohttp
from pydantic import ValidationError

from mainspring.api import monitoring, splitting
from mainspring.api.load import LOAD_PATH, Load
from mainspring.api.monitoring import Reference, Snapshot
from mainspring.api.splitting import SplitSnapshot
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.kube import outgoing

TIMEOUT = aiohttp.ClientTimeout(total=5)
LOAD_TIMEOUT = aiohttp.ClientTimeout(total=2)  # asked every few seconds; the next answer is as good
MAX_BYTES = 8 * 2**20
NOT_FOUND = (404, 405, 501)

Answer = TypeVar("Answer", bound=ApiModel)


class ServerError(Exception):
    pass


class Silent(ServerError):
    pass


class Unsuitable(ServerError):
    pass


class Servers(Protocol):
    """`address` is host and port of the internal port."""

    async def snapshot(self, address: str) -> Snapshot: ...

    async def reference(self, address: str) -> Reference: ...

    async def split(self, address: str) -> SplitSnapshot: ...

    async def load(self, address: str) -> Load: ...


class HttpServers:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def snapshot(self, address: str) -> Snapshot:
        """Everything that this server has counted. Raises `ServerError`."""
        return await self._get(address, monitoring.SNAPSHOT_PATH, Snapshot)

    async def reference(self, address: str) -> Reference:
        """What it is counted against. Raises `ServerError`."""
        return await self._get(address, monitoring.REFERENCE_PATH, Reference)

    async def split(self, address: str) -> SplitSnapshot:
        """What it does with requests during a rollout, and what came of it. Raises `ServerError`."""
        return await self._get(address, splitting.SNAPSHOT_PATH, SplitSnapshot)

    async def load(self, address: str) -> Load:
        """What it has to do. Raises `ServerError`."""
        return await self._get(address, LOAD_PATH, Load, LOAD_TIMEOUT)

    async def _get(self, address: str, path: str, kind: type[Answer], limit: aiohttp.ClientTimeout = TIMEOUT) -> Answer:
        try:
            async with self._session.get(f"http://{address}{path}", timeout=limit) as answer:
                if answer.status in NOT_FOUND:
                    raise Unsuitable(f"its server has no {path}")
                if answer.status != 200:
                    raise Silent(f"{path} answers {answer.status}")
                content = await outgoing.read(answer, MAX_BYTES)
        except outgoing.TooLarge as error:
            raise Silent(f"{path} answers with {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Silent(f"{path} does not answer: {type(error).__name__}") from error
        return _parsed(content, path, kind)


def _parsed(content: bytes, path: str, kind: type[Answer]) -> Answer:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise Silent(f"{path} answers with something else: {error.errors()[0]['msg']}") from error
