"""Handing an image to containerd without handing it what it has: an archive with the missing blobs only.

Most of an image is libraries that did not change since the last one; reading and
hashing them again would be most of the time it takes to try a change of the source.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Container
from pathlib import Path
from typing import Any

_REFERENCE = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"


def write_archive(layout: Path, name: str, present: Container[str], target: Path) -> None:
    """Write the image `name` of an OCI layout as an archive, without the blobs whose digests are `present`."""
    descriptor = find(layout, name)
    index = {"schemaVersion": 2, "manifests": [{**descriptor, "annotations": {_CONTAINERD_NAME: name}}]}
    with tarfile.open(target, "w") as tar:
        _add(tar, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        _add(tar, "index.json", index)
        for digest in blobs(layout, descriptor):
            if digest not in present:
                tar.add(_blob(layout, digest), arcname=f"blobs/{digest.replace(':', '/')}")


def find(layout: Path, name: str) -> dict[str, Any]:
    """The descriptor of the image `name`."""
    manifests: list[dict[str, Any]] = json.loads((layout / "index.json").read_text())["manifests"]
    (found,) = [one for one in manifests if one.get("annotations", {}).get(_REFERENCE) == name]
    return {key: found[key] for key in ("mediaType", "digest", "size")}


def blobs(layout: Path, descriptor: dict[str, Any]) -> list[str]:
    """The digests of everything that an image consists of."""
    manifest = json.loads(_blob(layout, descriptor["digest"]).read_text())
    layers = [layer["digest"] for layer in manifest["layers"]]
    return list(dict.fromkeys([descriptor["digest"], manifest["config"]["digest"], *layers]))


def _blob(layout: Path, digest: str) -> Path:
    algorithm, _, value = digest.partition(":")
    return layout / "blobs" / algorithm / value


def _add(tar: tarfile.TarFile, path: str, content: dict[str, Any]) -> None:
    data = json.dumps(content).encode()
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
