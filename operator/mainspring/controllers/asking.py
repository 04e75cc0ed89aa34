"""Asking the servers of many pods: so many at once, and who does not answer is told as the error that it gave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from mainspring.controllers import addresses
from mainspring.kube.servers import ServerError, Silent
from mainspring.plan.common.objects import Object

AT_ONCE = 16
ROUND_SECONDS = 20.0  # of many pods that do not answer, the last ones would be asked when the reconcile is long over
Answer = TypeVar("Answer")


class Asking:
    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def each(self, pods: Iterable[Object], ask: Callable[[str], Awaitable[Answer]]) -> list[Answer | ServerError]:
        """The answers in the order of the pods; `ask` gets the address of the internal port."""
        end = asyncio.get_running_loop().time() + ROUND_SECONDS
        return list(await asyncio.gather(*(self._one(pod, ask, end) for pod in pods)))

    async def _one(self, pod: Object, ask: Callable[[str], Awaitable[Answer]], end: float) -> Answer | ServerError:
        try:
            async with asyncio.timeout_at(end), self._slots:
                return await ask(addresses.internal(pod))
        except ServerError as error:
            return error
        except TimeoutError:
            return Silent(f"it was not asked within {ROUND_SECONDS:g} s, since too many others do not answer")
