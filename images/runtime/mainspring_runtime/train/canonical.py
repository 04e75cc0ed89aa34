"""The same model in the same bytes, so that training can be seen to have been reproduced.

A skops file as written names objects by their address in memory, carries the time of day, keeps sets in the order of
this process's string hashes and copies the padding of structured arrays, which is whatever was in memory. None of that
means anything, and all of it is taken out here.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from mainspring_runtime.artifacts import DIGEST_PREFIX
from mainspring_runtime.model.document import SKOPS_FILE, ModelDocument

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can express
COMPRESSION_LEVEL = 6
MODE = 0o644 << 16


def write_skops(model: Any, path: Path) -> None:
    """Save a fitted estimator with skops; equal models give equal bytes."""
    path.write_bytes(canonical_skops(skops.io.dumps(model)))


def rewrite_skops(path: Path) -> None:
    """Make a skops file that somebody else wrote canonical."""
    path.write_bytes(canonical_skops(path.read_bytes()))


def canonical_skops(content: bytes) -> bytes:
    """The same skops file without what differs from process to process."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        schema = json.loads(source.read(SCHEMA))
        names: dict[str, str] = {}
        schema = _renumbered(schema, {}, names)
        files = {
            new: _canonical_array(source.read(old)) if old.endswith(".npy") else source.read(old)
            for old, new in names.items()
        }
    return _zipped(files | {SCHEMA: json.dumps(schema, separators=(",", ":")).encode()})


def types_in(directory: Path, document: ModelDocument) -> list[str]:
    """The types in the version's skops file that skops does not trust by itself."""
    return sorted(skops.io.get_untrusted_types(file=directory / SKOPS_FILE)) if document.file == SKOPS_FILE else []


def model_digest(directory: Path, document: ModelDocument, files: Iterable[str]) -> str:
    """`sha256:…` over what decides a prediction: these files, and what `model.json` says without its remarks."""
    facts = {name: value for name, value in document.to_dict().items() if name not in ("modelDigest", "onnx")}
    hasher = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(files):
        with (directory / name).open("rb") as stream:
            hasher.update(f"\n{name} ".encode() + hashlib.file_digest(stream, "sha256").digest())
    return DIGEST_PREFIX + hasher.hexdigest()


def _renumbered(node: Any, ids: dict[int, int], names: dict[str, str]) -> Any:
    """Ids and file names replaced by their order of appearance; both maps are filled on the way."""
    if isinstance(node, list):
        return [_renumbered(item, ids, names) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("__loader__") == "SetNode":
        node = node | {"content": sorted(node["content"], key=_without_ids)}
    # Strings and numbers cannot be changed, so it does not matter which of them are one object.
    skipped = {"__id__"} if node.get("__loader__") == "JsonNode" else set()
    return {key: _renamed(key, value, ids, names) for key, value in node.items() if key not in skipped}


def _renamed(key: str, value: Any, ids: dict[int, int], names: dict[str, str]) -> Any:
    if key == "__id__" and isinstance(value, int):  # and not a dict's own key of that name
        return ids.setdefault(value, len(ids) + 1)
    if key == "file" and isinstance(value, str):
        return names.setdefault(value, f"{len(names) + 1}{Path(value).suffix}")
    return _renumbered(value, ids, names)


def _without_ids(node: Any) -> str:
    return json.dumps(_renumbered(node, {}, {}), sort_keys=True)


def _canonical_array(content: bytes) -> bytes:
    """An .npy file whose structured records have zeros between their fields."""
    if b"'V'" not in content[:4096] and b"|V" not in content[:4096]:
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, dtype=array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    sink = io.BytesIO()
    np.save(sink, clean, allow_pickle=False)
    return sink.getvalue()


def _zipped(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = MODE
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED, COMPRESSION_LEVEL)
    return sink.getvalue()
