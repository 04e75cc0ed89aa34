"""The project's images: what each is made from, its name, and the Helm values that point the chart at them.

A tag is the hash of everything that goes into the image, so an image that exists
under its name need not be built, and a running pod names exactly what it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import hashing, paths

LOCAL_PREFIX = "localhost/mainspring"
REQUIREMENTS = ("pyproject.toml", "images/requirements.py")
RUNTIME = (
    *REQUIREMENTS,
    "images/runtime/requirements.lock",
    "images/runtime/slim.py",
    "images/runtime/mainspring_runtime",
    "operator/mainspring/__init__.py",
    "operator/mainspring/api",
)


@dataclass(frozen=True)
class Image:
    """One image: its name, where its Dockerfile is, what that copies, and the chart's values it fills."""

    name: str
    dockerfile: str
    sources: tuple[str, ...]
    values: tuple[str, ...]
    target: str = ""

    def tag(self, base: str) -> str:
        """The hash of all that the image is made from; `base` names its base image."""
        return hashing.key(hashing.tree(paths.REPO, (self.dockerfile, *self.sources)), self.target, base)


OPERATOR_SOURCES = (*REQUIREMENTS, "images/operator/requirements.lock", "operator/mainspring")
IMAGES = (
    Image("operator", "images/operator/Dockerfile", OPERATOR_SOURCES, ("image", "operator")),
    Image("runtime", "images/runtime/Dockerfile", RUNTIME, ("image", "runtime"), "serve"),
    Image("runtime-jobs", "images/runtime/Dockerfile", RUNTIME, ("image", "jobs"), "jobs"),
)
# Where upstream's image of the store can be pulled, the chart's default is just right.
STORE = Image("store", "images/store/Dockerfile", (), ("store", "image"))


def values(references: Mapping[Image, str]) -> dict[str, Any]:
    """The Helm values for these images, by their full names."""
    result: dict[str, Any] = {"imagePullPolicy": "IfNotPresent"}
    for image, reference in references.items():
        repository, _, tag = reference.rpartition(":")
        outer, inner = image.values
        result.setdefault(outer, {})[inner] = {"repository": repository, "tag": tag}
    return result


def write_values(path: Path, references: Mapping[Image, str]) -> None:
    """Write the values file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(yaml.safe_dump(values(references), sort_keys=True))
    partial.rename(path)
