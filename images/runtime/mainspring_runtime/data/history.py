"""What the current version fixes for the next one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import ColumnType, DatasetSpec
from mainspring_runtime import artifacts
from mainspring_runtime.data import identity
from mainspring_runtime.data.schema import Pins

COLUMNS_FILE = "columns.json"
DATASET_FILE = "dataset.json"


@dataclass(frozen=True)
class Cuts:
    """Time splits: rows after `test` (µs since 1970) are test rows, rows after `validation` up to it validation rows."""

    test: int | None = None
    validation: int | None = None


@dataclass(frozen=True)
class Earlier:
    """What the current version calls its columns, and how many of its rows have a target."""

    target: str
    key: str | None
    timestamp: str | None
    labelled_rows: int


@dataclass(frozen=True)
class Previous:
    """The facts of the current version that the next one must respect, or is compared with."""

    pins: Pins = field(default_factory=dict)
    split_digest: str | None = None
    cuts: Cuts = Cuts()
    earlier: Earlier | None = None


def load(reference: contract.ArtifactRef | None, spec: DatasetSpec, target: Path) -> Previous:
    """Read the current version, if there is one.

    Its column types bind as long as neither `spec.columns` nor anything else that shapes the columns was edited: then
    a change comes from the data, and nobody asked for it.
    """
    if reference is None:
        return Previous()
    artifacts.fetch(reference.uri, reference.digest, target, only={COLUMNS_FILE, DATASET_FILE})
    facts = json.loads((target / DATASET_FILE).read_text())
    bound = not spec.columns and facts["recipe"] == identity.recipe_of(spec)
    return Previous(
        pins=_pins(json.loads((target / COLUMNS_FILE).read_text())) if bound else {},
        split_digest=facts["splitDigest"],
        cuts=Cuts(facts["testCut"], facts["validationCut"]),
        earlier=Earlier(facts["target"], facts["key"], facts["timestamp"], sum(facts["rows"].values())),
    )


def _pins(columns: list[dict[str, Any]]) -> dict[str, ColumnType]:
    return {column["name"]: ColumnType(column["type"]) for column in columns}
