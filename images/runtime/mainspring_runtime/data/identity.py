"""What a version is made from. Equal identities give equal bytes, so there is nothing to prepare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec

# Raised when the same input gives other bytes than before although the image has the same name.
FORMAT = 2
# When and where the work is done does not change what comes out.
IRRELEVANT = {"refresh", "retain", "resources", "pod_template"}
RECIPE = {"source", "inputs", "prepare", "columns"}


def identity_of(task: contract.PrepareTask, versions: Sequence[Sequence[str]]) -> str:
    """Digest over the objects of the source, the spec, the inputs and the image."""
    return digest(
        {
            "format": FORMAT,
            "versions": versions,
            "spec": task.spec.model_dump(mode="json", exclude=IRRELEVANT),
            "inputs": sorted([item.name, item.digest] for item in task.inputs),
            "image": task.image,
        }
    )


def recipe_of(spec: DatasetSpec) -> str:
    """Digest over what decides the columns. While it is the same, a change of the columns comes from the data."""
    return digest(spec.model_dump(mode="json", include=RECIPE))


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON, as `sha256:<hex>`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
