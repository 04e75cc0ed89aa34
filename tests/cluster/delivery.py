"""Building the project's images and bringing them to the cluster, whichever it is.

Three deliveries, one plan: choose names, build what is missing, hand over what the
cluster lacks, write the Helm values.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cluster import (
    backend,
    base_image,
    buildah,
    command,
    docker,
    images,
    lock,
    ocilayout,
    packages,
    paths,
    supervise,
    tools,
)
from tests.cluster.backend import Backend
from tests.cluster.components import ctr
from tests.cluster.config import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.images import IMAGES, LOCAL_PREFIX, STORE, Image
from tests.cluster.progress import say

REGISTRY_VARIABLE = "MAINSPRING_IMAGE_REGISTRY"
IMPORT_SECONDS = 10 * command.MINUTE_SECONDS


def deliver(cluster: Cluster) -> Path:
    """Have the images of this checkout in the cluster; returns the path of the Helm values that name them."""
    with lock.held(paths.cache() / "images" / "lock", "building images"):
        references = DELIVERIES[backend.choose()](cluster)
        images.write_values(cluster.values, references)
    say(f"the images are in place; Helm values: {cluster.values}")
    return cluster.values


def _to_source(cluster: Cluster) -> dict[Image, str]:
    if supervise.running(cluster, "containerd") is None:
        raise ClusterError(
            f"the node {cluster.name} does not run; start it first: python -m tests.cluster up --name {cluster.name}"
        )
    references = _build_with_buildah(LOCAL_PREFIX)
    for reference in references.values():
        _import(cluster, reference)
    return references


def _to_kind(cluster: Cluster) -> dict[Image, str]:
    references = _build_with_docker(LOCAL_PREFIX)
    for reference in references.values():
        docker.kind_load(cluster.name, reference)
    return references


def _to_existing(_: Cluster) -> dict[Image, str]:
    kubeconfig = backend.existing_kubeconfig()
    if not docker.answers():
        raise ClusterError("building images for your own cluster needs a Docker engine, and none answers (docker info)")
    kind_cluster = backend.kind_cluster_of(kubeconfig.read_text()) if kubeconfig else None
    if kind_cluster and command.find("kind"):
        return _load_all(_build_with_docker(LOCAL_PREFIX), lambda name: docker.kind_load(kind_cluster, name))
    return _load_all(_build_with_docker(_registry(os.environ)), docker.push)


DELIVERIES: Mapping[Backend, Callable[[Cluster], dict[Image, str]]] = {
    Backend.SOURCE: _to_source,
    Backend.KIND: _to_kind,
    Backend.EXISTING: _to_existing,
}


def _registry(environment: Mapping[str, str]) -> str:
    registry = environment.get(REGISTRY_VARIABLE, "").rstrip("/")
    if not registry:
        raise ClusterError(
            "the cluster of KUBECONFIG is not a kind cluster, so images must come from a registry that it can pull from;\n"
            f"set {REGISTRY_VARIABLE} to one that you can push to, for example {REGISTRY_VARIABLE}=registry.example.com/mainspring"
        )
    return registry


def _load_all(references: dict[Image, str], load: Callable[[str], None]) -> dict[Image, str]:
    for reference in references.values():
        say(f"loading {reference}")
        load(reference)
    return references


def _build_with_docker(prefix: str) -> dict[Image, str]:
    references = {image: f"{prefix}/{image.name}:{image.tag('')}" for image in IMAGES}
    for image, reference in references.items():
        if not docker.has(reference):
            say(f"building {reference}")
            docker.build(reference, paths.REPO / image.dockerfile, paths.REPO, target=image.target)
    return references


def _build_with_buildah(prefix: str) -> dict[Image, str]:
    packages.root_needed("building images without Docker", ("containers", "mounts"))
    packages.ensure(packages.IMAGES)
    base = base_image.ensure()
    references = {image: f"{prefix}/{image.name}:{image.tag(base)}" for image in IMAGES}
    for image, reference in references.items():
        if not buildah.has(reference):
            say(f"building {reference}")
            buildah.build(reference, paths.REPO / image.dockerfile, paths.REPO, target=image.target, base=base)
    return {**references, STORE: _build_store(prefix)}


def _build_store(prefix: str) -> str:
    program = tools.tool("versitygw")
    reference = f"{prefix}/{STORE.name}:{STORE.tag(program.parent.name)}"
    if not buildah.has(reference):
        say(f"building {reference}")
        with tempfile.TemporaryDirectory() as context:
            shutil.copy2(program, context)
            buildah.build(reference, paths.REPO / STORE.dockerfile, Path(context))
    return reference


def _import(cluster: Cluster, reference: str) -> None:
    if reference in command.run(ctr(cluster, "images", "list", "-q")).split():
        return
    say(f"loading {reference}")
    layout = paths.cache() / "images" / "layout"
    buildah.push(reference, layout)
    present = frozenset(command.run(ctr(cluster, "content", "list", "-q")).split())
    with tempfile.TemporaryDirectory(dir=paths.cache()) as directory:
        archive = Path(directory, "image.tar")
        ocilayout.write_archive(layout, reference, present, archive)
        command.run(ctr(cluster, "images", "import", str(archive)), timeout=IMPORT_SECONDS)
