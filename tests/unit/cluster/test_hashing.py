"""Content hashes name what a cached thing was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import hashing


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_same_content_in_another_place_gives_the_same_hash(tmp_path: Path) -> None:
    for copy in ("one", "two"):
        write(tmp_path / copy, {"a.py": "1", "package/b.py": "2"})
    assert hashing.tree(tmp_path / "one", ["a.py", "package"]) == hashing.tree(tmp_path / "two", ["package", "a.py"])


@pytest.mark.parametrize("change", [{"a.py": "other"}, {"package/new.py": ""}])
def test_changed_content_changes_the_hash(tmp_path: Path, change: dict[str, str]) -> None:
    write(tmp_path, {"a.py": "1", "package/b.py": "2"})
    before = hashing.tree(tmp_path, ["a.py", "package"])
    write(tmp_path, change)
    assert hashing.tree(tmp_path, ["a.py", "package"]) != before


def test_moved_content_changes_the_hash(tmp_path: Path) -> None:
    write(tmp_path, {"package/b.py": "2"})
    before = hashing.tree(tmp_path, ["package"])
    (tmp_path / "package" / "b.py").rename(tmp_path / "package" / "c.py")
    assert hashing.tree(tmp_path, ["package"]) != before


def test_what_python_leaves_behind_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, {"package/b.py": "2"})
    before = hashing.tree(tmp_path, ["package"])
    write(tmp_path, {"package/__pycache__/b.cpython-311.pyc": "x", "package/old.pyc": "x"})
    assert hashing.tree(tmp_path, ["package"]) == before


def test_where_one_text_ends_matters() -> None:
    assert hashing.key("ab", "c") != hashing.key("a", "bc")


def test_a_missing_input_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        hashing.tree(tmp_path, ["gone"])
