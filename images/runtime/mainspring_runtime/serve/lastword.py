"""The end of counting: whoever reads counts gets the last ones before the process ends, if there is anybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging

logger = logging.getLogger(__name__)


class LastWord:
    """`final` once nothing changes any more."""

    def __init__(self) -> None:
        self.final = False
        self._asked = False
        self._told = asyncio.Event()

    def heard(self) -> None:
        """Somebody got the counts as they are now."""
        self._asked = True
        if self.final:
            self._told.set()

    async def hold(self, seconds: float) -> None:
        """Nothing changes any more: wait until the last counts were fetched, if there is anybody who fetches them."""
        self.final = True
        if not self._asked:
            return
        logger.info("holding for a last snapshot")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()
