"""How many rows of a version have a target that the version before did not know: what there is to learn from it.

A label that comes late is as new as a row that comes late, so what counts is not when a row appeared but when its target
did. With a key the rows are told by it. Without one, rows up to the newest labelled one of the version before cannot be
told apart, but the growth of their number can be counted: exact unless labelled rows also vanish, else too low.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.api.v1alpha1.datasetversion import NewRows, NewRowsBy
from mainspring_runtime import artifacts
from mainspring_runtime.data.engine import Connection, literals, quoted, row
from mainspring_runtime.data.history import Earlier
from mainspring_runtime.data.reading import DATASET
from mainspring_runtime.data.split import SIDES, UNLABELLED
from mainspring_runtime.data.version import LABELLED, Version


def fetch(reference: contract.ArtifactRef | None, earlier: Earlier | None, spec: DatasetSpec, target: Path) -> None:
    """Make the rows of the version before local, if they are needed to tell which ones are new."""
    if reference is None or earlier is None or _way(spec, earlier) is NewRowsBy.COUNT:
        return
    artifacts.fetch(reference.uri, reference.digest, target, only={_path(side) for side in SIDES})


def count(version: Version, task: contract.PrepareTask, earlier: Earlier | None, directory: Path) -> NewRows | None:
    """Compare with the version before, whose rows `fetch` put into `directory`; None when there is none."""
    if task.previous is None or earlier is None:
        return None
    by = _way(version.spec, earlier)
    found = _COUNTS[by](Comparison(version, earlier, directory))
    return NewRows(since=task.previous.name, rows=found, by=by, total=task.previous_total + found)


@dataclass(frozen=True)
class Comparison:
    """A version beside the one before it."""

    version: Version
    earlier: Earlier
    directory: Path

    @property
    def connection(self) -> Connection:
        return self.version.connection

    def rows_before(self, sides: Sequence[str]) -> str:
        """SQL of the earlier rows of these sides; a side without rows may have no file."""
        paths = [path for side in sides if (path := self.directory / _path(side)).exists()]
        return f"read_parquet([{literals([str(path) for path in paths])}])"


def _path(side: str) -> str:
    return f"data/{side}.parquet"


_LABELLED_SIDES = tuple(side for side in SIDES if side != UNLABELLED)


def _way(spec: DatasetSpec, earlier: Earlier) -> NewRowsBy:
    """Rows are told by what both versions have."""
    if spec.target != earlier.target:
        return NewRowsBy.COUNT
    if spec.timestamp and spec.timestamp == earlier.timestamp:
        return NewRowsBy.TIMESTAMP
    return NewRowsBy.KEY if spec.key and spec.key == earlier.key else NewRowsBy.COUNT


def _by_time(both: Comparison) -> int:
    """Newer than all labelled rows before, and those labelled since that are no older than the oldest row before."""
    time = f"epoch_us({quoted(both.version.spec.timestamp or '')})"
    (cut,) = row(both.connection, f"SELECT max({time}) FROM {both.rows_before(_LABELLED_SIDES)}")
    (oldest,) = row(both.connection, f"SELECT min({time}) FROM {both.rows_before(SIDES)}")
    (newer,) = row(both.connection, f"SELECT count(*) FROM {LABELLED} WHERE {time} > {cut}")
    key = both.version.spec.key
    if key and key == both.earlier.key:
        return int(newer) + _unknown_keys(both, f"{time} BETWEEN {oldest} AND {cut}")
    # What has left the window, or the source, since then must not count against what was labelled.
    (start,) = row(both.connection, f"SELECT greatest(min({time}), {oldest}) FROM {DATASET}")
    within = f"{time} BETWEEN {start} AND {cut}"
    (now,) = row(both.connection, f"SELECT count(*) FROM {LABELLED} WHERE {within}")
    (then,) = row(both.connection, f"SELECT count(*) FROM {both.rows_before(_LABELLED_SIDES)} WHERE {within}")
    return int(newer) + max(0, int(now) - int(then))


def _by_key(both: Comparison) -> int:
    return _unknown_keys(both, "true")


def _unknown_keys(both: Comparison, where: str) -> int:
    """Labelled rows whose key had no target before. As text: `spec.columns` may have changed its type."""
    key = f"CAST({quoted(both.version.spec.key or '')} AS VARCHAR) AS known"
    now = f"SELECT {key} FROM {LABELLED} WHERE {where}"
    then = f"SELECT {key} FROM {both.rows_before(_LABELLED_SIDES)}"
    return int(row(both.connection, f"SELECT count(*) FROM ({now}) ANTI JOIN ({then}) USING (known)")[0])


def _growth(both: Comparison) -> int:
    """No row was labelled before with what is another target now."""
    then = both.earlier.labelled_rows if both.earlier.target == both.version.spec.target else 0
    return max(0, both.version.rows - then)


_COUNTS: dict[NewRowsBy, Callable[[Comparison], int]] = {
    NewRowsBy.TIMESTAMP: _by_time,
    NewRowsBy.KEY: _by_key,
    NewRowsBy.COUNT: _growth,
}
