"""Asking the servers of many pods: so many at once, and who does not answer is told as the error that it gave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from mainspring.controllers import addresses
from mainspring.kube.servers import ServerError
from mainspring.plan.common.objects import Object

AT_ONCE = 16
Answer = TypeVar("Answer")


class Asking:
    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def each(self, pods: Iterable[Object], ask: Callable[[str], Awaitable[Answer]]) -> list[Answer | ServerError]:
        """The answers in the order of the pods; `ask` gets the address of the internal port."""
        return list(await asyncio.gather(*(self._one(pod, ask) for pod in pods)))

    async def _one(self, pod: Object, ask: Callable[[str], Awaitable[Answer]]) -> Answer | ServerError:
        try:
            async with self._slots:
                return await ask(addresses.internal(pod))
        except ServerError as error:
            return error
