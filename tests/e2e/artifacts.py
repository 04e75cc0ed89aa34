"""Model versions without a training: what was trained once is copied to where a journey needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring_runtime import artifacts
from mainspring_runtime.artifacts import Published
from tests.demo import store
from tests.e2e import manifests
from tests.e2e.space import Space


def fetch(space: Space, version: str, target: Path) -> Path:
    """The files of a ModelVersion, verified."""
    artifact = space.get("ModelVersion", version)["spec"]["artifact"]
    with store.access(space.name):
        artifacts.fetch(artifact["uri"], artifact["digest"], target)
    return target


def publish(space: Space, directory: Path) -> Published:
    """Puts a directory into the namespace's bucket; its credentials come with the first object of ours."""
    space.eventually(lambda: space.exists("Secret", "mainspring-artifacts"), "the store's credentials")
    with store.access(space.name):
        return artifacts.publish(directory, f"s3://ns-{space.name}/imported")


def import_version(space: Space, directory: Path, number: int = 1, model: str = "flowers") -> None:
    """Registers files as a version of a Model, the way a person would bring a model from elsewhere."""
    published = publish(space, directory)
    space.apply(manifests.version(model, number, published.uri, published.digest))


def serve_imported(space: Space, directory: Path, **spec: Any) -> None:
    """A Model with one version that is champion, and a service with that spec that serves it."""
    space.apply(manifests.model(), manifests.service(**spec))
    import_version(space, directory)
    space.current("InferenceService", "flowers", "Serving")
