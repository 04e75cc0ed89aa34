"""Every object in the examples is valid, to the last field."""

from __future__ import annotations

import pytest

from mainspring.api.v1alpha1.common import API_VERSION
from tests.apiserver.server import Server
from tests.chart import rendering

EXAMPLES = rendering.REPOSITORY / "examples"
FILES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_the_example_is_accepted(server: Server, namespace: str, name: str) -> None:
    manifests = rendering.parse((EXAMPLES / name).read_text())
    assert manifests
    for manifest in manifests:
        if manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = namespace
        assert server.apply(manifest, dryRun="All")["kind"] == manifest["kind"]


def test_the_examples_show_every_kind_that_people_write() -> None:
    shown = {
        m["kind"]
        for name in FILES
        for m in rendering.parse((EXAMPLES / name).read_text())
        if m["apiVersion"] == API_VERSION
    }
    assert shown >= {"Dataset", "Model", "TrainingRun", "InferenceService"}
