"""`python -m mainspring.tools generate`: the committed files are those of today's sources, and staleness has a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.tools import argocdgen, generate


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with what the generators read, and nothing generated yet."""
    script = tmp_path / argocdgen.SOURCE
    script.parent.mkdir(parents=True)
    script.write_text((generate.REPOSITORY / argocdgen.SOURCE).read_text())
    return tmp_path


def run(repository: Path, *arguments: str) -> int:
    return generate.main(["generate", "--root", str(repository), *arguments])


def test_the_committed_files_are_up_to_date() -> None:
    root = generate.REPOSITORY
    assert generate.stale(root, generate.generated(root)) == []


def test_check_passes_after_generate(repository: Path) -> None:
    assert run(repository) == 0
    assert run(repository, "--check") == 0


def test_check_names_a_file_that_was_edited(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(repository)
    edited = repository / "crds/mainspring.dev_models.yaml"
    edited.write_text(edited.read_text() + "# edited\n")
    assert run(repository, "--check") == 1
    assert capsys.readouterr().err.splitlines()[0] == "stale: crds/mainspring.dev_models.yaml"
    assert edited.read_text().endswith("# edited\n")


def test_check_names_a_file_that_is_missing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(repository)
    (repository / "docs/api/README.md").unlink()
    assert run(repository, "--check") == 1
    assert "stale: docs/api/README.md" in capsys.readouterr().err


def test_files_of_a_kind_that_is_gone_are_removed(repository: Path) -> None:
    run(repository)
    left = repository / "crds/mainspring.dev_gizmos.yaml"
    left.write_text("")
    assert run(repository, "--check") == 1
    run(repository)
    assert not left.exists()


def test_generate_says_what_it_wrote_and_is_silent_when_nothing_changed(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(repository)
    assert "crds/mainspring.dev_models.yaml" in capsys.readouterr().out
    run(repository)
    assert capsys.readouterr().out == ""
