"""Programs are built once, and an interrupted build is never taken for a finished one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster import tools


@dataclass(frozen=True)
class Fake:
    """A tool whose build fails as often as it is told to."""

    name: str = "fake"
    takes: str = "no time"
    failures: list[str] = field(default_factory=list)
    builds: list[Path] = field(default_factory=list)

    def key(self) -> str:
        return "key"

    def build(self, target: Path) -> None:
        self.builds.append(target)
        (target / self.name).write_text("program")
        if self.failures:
            raise KeyboardInterrupt(self.failures.pop())


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    one = Fake()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tools, "TOOLS", {"fake": one})
    return one


def test_a_program_is_built_once(fake: Fake) -> None:
    assert tools.tool("fake") == tools.tool("fake")
    assert tools.tool("fake").read_text() == "program"
    assert len(fake.builds) == 1


def test_an_interrupted_build_is_done_again_and_leaves_nothing(fake: Fake) -> None:
    fake.failures.append("interrupted")
    with pytest.raises(KeyboardInterrupt):
        tools.tool("fake")
    program = tools.tool("fake")
    assert program.read_text() == "program"
    assert sorted(path.name for path in program.parent.parent.iterdir()) == ["key", "lock"]


def test_every_program_of_the_node_has_a_source_that_exists() -> None:
    for one in tools.TOOLS.values():
        if isinstance(one, tools.Module):
            assert (one.source / "go.sum").is_file() or one.name == "pause"
            assert (one.source / "main.go").is_file()


def test_the_version_that_kubernetes_reports_is_the_one_that_is_built() -> None:
    required = (tools.TOOLS["kubernetes"].source / "go.mod").read_text()  # type: ignore[union-attr]
    assert f"k8s.io/kubernetes {tools.KUBERNETES_VERSION}" in required
