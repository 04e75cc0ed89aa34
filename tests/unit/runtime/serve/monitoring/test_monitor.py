"""The end of a server: what was counted last must not be lost."""

from __future__ import annotations

import asyncio

from mainspring_runtime.serve.monitoring.monitor import Monitor
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import Watching

FOREVER_SECONDS = 3_600.0


async def test_a_server_holds_until_its_final_snapshot_was_fetched(served: Watching) -> None:
    await served.infer(watching.rows(1.0))
    assert not (await served.snapshot()).final
    holding = asyncio.create_task(served.parts.monitor.hold(FOREVER_SECONDS))
    await asyncio.sleep(0)
    assert not holding.done(), "the snapshot before the end is not enough"
    snapshot = await served.snapshot()
    assert (snapshot.final, snapshot.rows) == (True, 1)
    await holding


async def test_a_server_does_not_wait_for_a_reader_that_never_was(served: Watching) -> None:
    await served.metrics()
    await served.reference()
    await served.parts.monitor.hold(FOREVER_SECONDS)


async def test_a_reader_that_is_gone_is_not_waited_for_long(served: Watching) -> None:
    await served.snapshot()
    await served.parts.monitor.hold(0.0)
    assert (await served.snapshot()).final


async def test_each_process_counts_in_an_epoch_of_its_own(served: Watching) -> None:
    first, again = await served.snapshot(), await served.snapshot()
    assert first.epoch == again.epoch
    assert Monitor().epoch != first.epoch
    assert first.started.endswith("+00:00")
