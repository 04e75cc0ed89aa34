"""Fixtures of the user journeys, and what a failed one leaves to read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.demo import release
from tests.e2e import api, artifacts, manifests, report
from tests.e2e.api import Api
from tests.e2e.control_plane import ControlPlane
from tests.e2e.messages import Messages
from tests.e2e.space import STEP_SECONDS, Space

DELETE_SECONDS = 120
JOURNEY_SECONDS = 1200


class SpaceMaker(Protocol):
    def __call__(self, journey: str, level: str = "restricted") -> Space: ...


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    journeys = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in journeys:
        # It waits with deadlines of its own: this one is for what hangs.
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(JOURNEY_SECONDS))
    if getattr(config.option, "loadgroup", False):
        assert_grouped(journeys)


def assert_grouped(journeys: list[pytest.Item]) -> None:
    """Those that disturb the operator must be on one worker: what pytest-xdist makes of their mark is seen in their names."""
    apart = [item.nodeid for item in journeys if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
    if apart:
        raise pytest.UsageError(f"this pytest-xdist does not keep groups with this pytest: {apart}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--messages", type=Path, help="append what users are told about failures to this file")


@pytest.fixture(scope="session")
def cluster_api() -> Iterator[Api]:
    # Not pytest's own folder: a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="e2e-"))
    try:
        with api.connect(folder) as connected:
            yield connected
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def messages(request: pytest.FixtureRequest) -> Messages:
    return Messages(request.config.getoption("--messages"))


@pytest.fixture(scope="session")
def used_spaces() -> Iterator[list[Space]]:
    """All namespaces of this session. They go while the next journey runs; at the end none may be stuck."""
    spaces: list[Space] = []
    yield spaces
    names = [space.name for space in spaces]
    if names:
        release.kubectl(
            "delete",
            "namespace",
            *names,
            "--ignore-not-found",
            f"--timeout={DELETE_SECONDS}s",
            timeout=DELETE_SECONDS + 30,
        )


@pytest.fixture(scope="session")
def control_plane(cluster_api: Api) -> ControlPlane:
    return ControlPlane(cluster_api)


@pytest.fixture(autouse=True)
def no_bugs(control_plane: ControlPlane) -> Iterator[None]:
    """Whatever happens to the objects, the operator itself must know what to do."""
    before = control_plane.bugs()
    yield
    # An operator that was started anew counts from nothing.
    assert control_plane.bugs() in (0, before), "see `unexpected failure` in the operator's log"


@pytest.fixture(scope="session")
def workshop(cluster_api: Api, messages: Messages, used_spaces: list[Space]) -> Space:
    """A model that was trained once for all: other journeys read what came of it, and change nothing."""
    space = Space(cluster_api, messages, "workshop")
    space.create()
    used_spaces.append(space)
    space.apply(manifests.dataset(), manifests.model(), manifests.run())
    space.current("Model", "flowers", "Champion", seconds=2 * STEP_SECONDS)
    return space


@pytest.fixture(scope="session")
def flower_model(workshop: Space, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a good model, to be imported elsewhere."""
    return artifacts.fetch(workshop, "flowers-v1", tmp_path_factory.mktemp("flowers"))


@pytest.fixture
def make_space(
    cluster_api: Api, messages: Messages, used_spaces: list[Space], request: pytest.FixtureRequest
) -> Iterator[SpaceMaker]:
    mine: list[Space] = []

    def make(journey: str, level: str = "restricted") -> Space:
        space = Space(cluster_api, messages, journey)
        space.create(level)
        mine.append(space)
        used_spaces.append(space)
        return space

    request.node.stash[report.SPACES] = mine
    yield make
    for space in mine:
        release.kubectl("delete", "namespace", space.name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def space(make_space: SpaceMaker, request: pytest.FixtureRequest) -> Space:
    """A fresh namespace, named after the file of the journey."""
    return make_space(request.path.stem.removeprefix("test_").replace("_", "-")[:24].rstrip("-"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is told with all that the cluster knows about it."""
    outcome = yield
    if outcome.failed and outcome.when == "call":
        spaces: list[Space] = item.stash.get(report.SPACES, [])
        outcome.sections += report.sections(spaces)
    return outcome
