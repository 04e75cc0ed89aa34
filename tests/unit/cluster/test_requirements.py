"""The image builds install what pyproject.toml lists, and nothing of the project itself."""

from __future__ import annotations

import tomllib

from images import requirements
from tests.cluster import paths


def test_an_extra_that_names_another_stands_for_what_that_lists() -> None:
    project = {"name": "x", "optional-dependencies": {"a": ["one", "two"], "b": ["x[a]", "three"]}}
    assert list(requirements.dependencies(project, "b")) == ["one", "two", "three"]


def test_no_image_asks_for_the_project_itself() -> None:
    project = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["project"]
    for extra in ("operator", "serve", "jobs", "boosting"):
        assert not [line for line in requirements.dependencies(project, extra) if line.startswith("mainspring")]
