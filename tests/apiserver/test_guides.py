"""Every object that a guide shows is valid, to the last field."""

from __future__ import annotations

import re

import pytest

from tests.apiserver.server import Server
from tests.chart import rendering

GUIDES = rendering.REPOSITORY / "docs" / "guides"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["scaling.md", "exposing.md"])
def test_what_the_guide_shows_is_accepted(server: Server, namespace: str, name: str) -> None:
    blocks = BLOCK.findall((GUIDES / name).read_text())
    assert blocks
    for manifest in (one for block in blocks for one in rendering.parse(block)):
        manifest["metadata"]["namespace"] = namespace
        assert server.apply(manifest, dryRun="All")["kind"] == manifest["kind"]
