"""Which rows are held out.

Hash and Group compare a stable hash of the row's identity with the fractions, so a row never changes sides, whatever
other rows come or go. Without a key the feature columns are the identity, never target or timestamp: a relabelled row
stays where it was, and equal rows are on one side. Time holds out the newest rows, and its cut only moves forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mainspring.api.v1alpha1.dataset import DatasetSpec, SplitBy
from mainspring_runtime.data import durations, identity, rowhash
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, quoted, row, rows
from mainspring_runtime.data.history import Cuts, Previous
from mainspring_runtime.data.validity import TYPED

SIDES = (TRAIN, VALIDATION, TEST, UNLABELLED) = ("train", "validation", "test", "unlabelled")
WINDOWED = f"{INTERNAL_SCHEMA}.windowed_rows"
HASH_SPACE = 2**64
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Splitter:
    """Places rows. `digest` is over the rules: versions with equal ones hold out the same rows."""

    spec: DatasetSpec
    identity: tuple[str, ...]
    cuts: Cuts
    digest: str

    def positions(self, batch: Any) -> rowhash.Words:
        """Where each row stands: files are in this order, which is random but always the same."""
        return rowhash.hash_rows(batch, self.identity)

    def sides(self, batch: Any, positions: rowhash.Words) -> npt.NDArray[np.int8]:
        """For each row an index into `SIDES`."""
        test, validation = self._by_time(batch) if self.cuts.test is not None else self._by_hash(batch, positions)
        unlabelled = np.asarray(batch.column(self.spec.target).is_null())
        chosen = np.select(
            [unlabelled, test, validation],
            [SIDES.index(UNLABELLED), SIDES.index(TEST), SIDES.index(VALIDATION)],
            SIDES.index(TRAIN),
        )
        return chosen.astype(np.int8)

    def _by_hash(self, batch: Any, positions: rowhash.Words) -> tuple[Mask, Mask]:
        column = self.spec.split.column
        units = rowhash.hash_rows(batch, [column]) if column else positions
        test = Fraction(str(self.spec.split.test))
        held_out = test + Fraction(str(self.spec.split.validation))
        return units < np.uint64(int(test * HASH_SPACE)), units < np.uint64(int(held_out * HASH_SPACE))

    def _by_time(self, batch: Any) -> tuple[Mask, Mask]:
        times = batch.column(self.spec.timestamp).cast(pa.int64()).to_numpy(zero_copy_only=False)
        validation = np.zeros(len(times), dtype=bool) if self.cuts.validation is None else times > self.cuts.validation
        return times > self.cuts.test, validation


def make_splitter(connection: Connection, spec: DatasetSpec, features: Sequence[str], previous: Previous) -> Splitter:
    """The splitter of this version. A Time cut of the previous version counts while the rules are the same."""
    digest = split_digest(spec, features)
    cuts = _cuts(connection, spec, previous.cuts if previous.split_digest == digest else Cuts())
    return Splitter(spec, (spec.key,) if spec.key else tuple(sorted(features)), cuts, digest)


def split_digest(spec: DatasetSpec, features: Sequence[str]) -> str:
    """Digest over how a row is placed, and with which fractions."""
    split = spec.split
    if split.by is SplitBy.HASH:
        columns = [spec.key] if spec.key else sorted(features)
    else:
        columns = [split.column or spec.timestamp or ""]
    return identity.digest([split.by.value, columns, split.test, split.validation, rowhash.ALGORITHM])


def limit_window(connection: Connection, spec: DatasetSpec) -> None:
    """Create the view `WINDOWED`: the valid rows within `window.last` before the newest one."""
    where = ""
    if spec.window and spec.timestamp:
        time = f"epoch_us({quoted(spec.timestamp)})"
        newest = row(connection, f"SELECT max({time}) FROM {TYPED}")[0]
        where = f" WHERE {time} >= {newest - durations.parse(spec.window.last) // timedelta(microseconds=1)}"
    connection.execute(f"CREATE VIEW {WINDOWED} AS SELECT * FROM {TYPED}{where}")


def _cuts(connection: Connection, spec: DatasetSpec, previous: Cuts) -> Cuts:
    if spec.split.by is not SplitBy.TIME or not spec.timestamp:
        return Cuts()
    times = f"SELECT epoch_us({quoted(spec.timestamp)}) AS t FROM {WINDOWED} WHERE {quoted(spec.target)} IS NOT NULL"
    test = _cut(connection, times, spec.split.test, previous.test)
    if not spec.split.validation:
        return Cuts(test)
    return Cuts(test, _cut(connection, times, spec.split.test + spec.split.validation, previous.validation))


def _cut(connection: Connection, times: str, newest: float, previous: int | None) -> int:
    """The time after which at most the share `newest` of the rows lies, and never before the previous cut."""
    count = row(connection, f"SELECT count(*) FROM ({times})")[0]
    offset = max(count - 1 - round(count * newest), 0)
    # A sort with an offset can spill to disk; a quantile aggregate cannot.
    found = rows(connection, f"SELECT t FROM ({times}) ORDER BY t LIMIT 1 OFFSET {offset}")
    return max([time for (time,) in found] + ([previous] if previous is not None else []), default=0)
