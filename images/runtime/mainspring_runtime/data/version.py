"""The written files of a version as tables, for the profile and the checks.

Views: `dataset` has all valid rows, as the user's checks see them; `LABELLED` those with a target; and one view for
each side. Rows without a target are published as well, in a file that no model reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, literals
from mainspring_runtime.data.reading import DATASET
from mainspring_runtime.data.schema import Schema
from mainspring_runtime.data.split import UNLABELLED
from mainspring_runtime.data.statistics import ColumnStatistics
from mainspring_runtime.data.writing import Written

LABELLED = f"{INTERNAL_SCHEMA}.labelled_rows"


@dataclass(frozen=True)
class Version:
    """What was written. `sides` are those whose rows have a target, in order."""

    connection: Connection
    spec: DatasetSpec
    schema: Schema
    written: Written
    sides: tuple[str, ...]
    files: Mapping[str, Path]

    @property
    def rows(self) -> int:
        """Rows with a target."""
        return sum(self.written.rows[side] for side in self.sides)

    def statistics(self, column: str) -> ColumnStatistics:
        """Over all rows with a target."""
        return self.written.total(self.sides, column)

    def view(self, side: str) -> str:
        return f"{INTERNAL_SCHEMA}.{side}_rows"


def open_version(
    connection: Connection, spec: DatasetSpec, schema: Schema, written: Written, files: Mapping[str, Path]
) -> Version:
    """Create the views over the files."""
    version = Version(connection, spec, schema, written, tuple(side for side in files if side != UNLABELLED), files)
    for side, path in files.items():
        _view(connection, version.view(side), [path])
    _view(connection, LABELLED, [files[side] for side in version.sides])
    _view(connection, DATASET, list(files.values()))
    return version


def _view(connection: Connection, name: str, paths: list[Path]) -> None:
    listed = literals([str(path) for path in paths])
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet([{listed}])")
