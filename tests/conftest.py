from __future__ import annotations

import asyncio
from collections.abc import Iterator

import hypothesis
import pytest

# A deadline for an example is a timed assertion, which a busy machine breaks. The examples are the same each time, so that a
# change is refused for what it breaks and not by chance; to look for more: `pytest --hypothesis-profile searching`.
hypothesis.settings.register_profile("mainspring", deadline=None, derandomize=True)
hypothesis.settings.register_profile("searching", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("mainspring")


@pytest.fixture(scope="session", autouse=True)
def _current_loop() -> Iterator[None]:
    """A current event loop for the whole test run, closed at its end.

    pytest-asyncio asks for the current loop around each asynchronous test. Before Python 3.14 asking makes one that
    nobody closes, and its ResourceWarning fails whichever test the garbage collector happens to run in.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
