"""What is signed: an in-toto statement that names every file of a directory with its SHA-256.

Source: the in-toto attestation framework (Statement v1) and the predicate `https://model_signing/signature/v1.0` of
OpenSSF Model Signing. Its one subject has as digest the SHA-256 over the binary digests of all files, in their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from mainspring_runtime import artifacts

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
# What lies beside the files that are signed; other verifiers are told by the statement itself.
IGNORED = (artifacts.MANIFEST, artifacts.SIGNATURE)


class NotAStatementError(ValueError):
    """Something else was signed, or something that cannot be compared with files; the text says what."""


def make(name: str, files: Mapping[str, str]) -> bytes:
    """The statement for a directory of that name: hexadecimal SHA-256 by relative POSIX path."""
    ordered = sorted(files, key=PurePosixPath)
    resources = [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in ordered]
    serialization = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": sorted(IGNORED),
    }
    value = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root([files[path] for path in ordered])}}],
        "predicateType": PREDICATE,
        "predicate": {"serialization": serialization, "resources": resources},
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def read(content: bytes) -> dict[str, str]:
    """Hexadecimal SHA-256 by path, as the statement says. Raises `NotAStatementError`."""
    try:
        value = json.loads(content)
        _require("its type", value["_type"], STATEMENT)
        _require("its predicate", value["predicateType"], PREDICATE)
        serialization = value["predicate"]["serialization"]
        _require("what is hashed", serialization["method"], "files")
        _require("the hash", serialization["hash_type"], "sha256")
        files = _files(value["predicate"]["resources"])
        (subject,) = value["subject"]
        _require("the digest of all files", subject["digest"]["sha256"], _root(list(files.values())))
    except NotAStatementError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAStatementError(f"it is no statement about a model: {type(error).__name__}: {error}") from error
    return files


def _files(resources: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """In the order of the statement."""
    files: dict[str, str] = {}
    for resource in resources:
        name = str(resource["name"])
        _require(f"the hash of {name}", resource["algorithm"], "sha256")
        if name in files:
            raise NotAStatementError(f"it names {name} twice")
        files[name] = str(resource["digest"]).lower()
    return files


def _root(digests: Sequence[str]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()


def _require(what: str, found: object, wanted: str) -> None:
    if found != wanted:
        raise NotAStatementError(
            f"{what} is {str(found)[:200]!r}, not {wanted!r}; sign with model-signing 1.0 or newer"
        )
