from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from mainspring.plugin.report import build
from mainspring.plugin.report.facts import Report
from tests import lives
from tests.lives import Life

Live = Callable[[str], Life]
Tell = Callable[[str], Report]


@pytest.fixture(scope="session")
def live() -> Live:
    """A story, lived once."""
    return functools.cache(lambda story: lives.STORIES[story]())


@pytest.fixture(scope="session")
def tell(live: Live) -> Tell:
    """The report about a story."""
    return functools.cache(lambda story: build.build_report(live(story).sources()))
