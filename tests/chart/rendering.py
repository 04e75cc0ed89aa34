"""Rendering the chart as a user would, and finding things in what comes out."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import command, tools

Manifest = dict[str, Any]

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "mainspring"
VALUES = Path(__file__).resolve().parent / "values"
RELEASE = "mainspring"
NAMESPACE = "mainspring-system"
# The chart as it comes, and every file in tests/chart/values.
VARIANTS = ("default", *sorted(path.stem for path in VALUES.glob("*.yaml")))


def helm(*arguments: str | Path) -> str:
    """The output of helm; raises `command.CommandFailed` with what it says."""
    return command.run([tools.tool("helm"), *arguments])


def template(
    variant: str = "default",
    *settings: str,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    apis: Sequence[str] = (),
) -> str:
    """`helm template` with the values of a variant and `--set` settings, for a cluster with these further APIs."""
    sets = [word for setting in settings for word in ("--set", setting)]
    known = [word for api in apis for word in ("--api-versions", api)]
    return helm("template", release, CHART, "--namespace", namespace, *values_of(variant), *sets, *known)


def values_of(variant: str) -> list[str | Path]:
    """The arguments of helm for a variant."""
    return [] if variant == "default" else ["--values", VALUES / f"{variant}.yaml"]


@functools.cache
def rendered(variant: str = "default") -> tuple[Manifest, ...]:
    """All objects of a variant."""
    return parse(template(variant))


def parse(text: str) -> tuple[Manifest, ...]:
    """The objects of a stream of YAML documents."""
    return tuple(document for document in yaml.safe_load_all(text) if document)


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """The objects of these kinds, in their order."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def one(manifests: Iterable[Manifest], kind: str, name: str, namespace: str | None = None) -> Manifest:
    """The one object of this kind and name."""
    (found,) = (
        manifest
        for manifest in of_kind(manifests, kind)
        if manifest["metadata"]["name"] == name and namespace in (None, manifest["metadata"].get("namespace"))
    )
    return found


def environment(deployment: Manifest) -> dict[str, Any]:
    """The environment of a Deployment's only container: literal values, and sources as they are."""
    (container,) = containers(deployment)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", [])}


def containers(deployment: Manifest) -> Sequence[Manifest]:
    """The containers of a Deployment."""
    found: Sequence[Manifest] = deployment["spec"]["template"]["spec"]["containers"]
    return found
