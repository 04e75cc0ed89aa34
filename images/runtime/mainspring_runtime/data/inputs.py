"""Other datasets as tables for `spec.prepare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mainspring.api import contract
from mainspring_runtime import artifacts
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, literals, quoted
from mainspring_runtime.data.reading import DATASET
from mainspring_runtime.errors import PermanentError

RESERVED = (DATASET, INTERNAL_SCHEMA)


def fetch(inputs: Sequence[contract.ArtifactRef], target: Path) -> dict[str, list[Path]]:
    """Download and verify the inputs; returns the row files of each table."""
    reserved = [item.name for item in inputs if item.name in RESERVED]
    if reserved:
        raise PermanentError(
            "InvalidSpec", f"spec.inputs: the name {reserved[0]!r} is taken by the dataset itself; choose another"
        )
    return {item.name: _fetch_one(item, target / item.name) for item in inputs}


def create_views(connection: Connection, tables: Mapping[str, Sequence[Path]]) -> None:
    """One view for each input, over all its rows, also those without a target."""
    for name, paths in tables.items():
        listed = literals([str(path) for path in paths])
        connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM read_parquet([{listed}])")


def _fetch_one(item: contract.ArtifactRef, target: Path) -> list[Path]:
    manifest = artifacts.fetch(item.uri, item.digest, target)
    return [target / file.path for file in manifest.files if file.path.endswith(".parquet")]
