"""The parts of a payload log as the table `PREDICTIONS`: one row for each prediction of the time in question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import obstore
from obstore.store import ObjectStore

from mainspring.api import contract
from mainspring_runtime import payloads, stores
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, literal, quoted
from mainspring_runtime.payloads import MICROSECONDS, Part, Source
from mainspring_runtime.serve.payloads.rows import BIN, KEY, PREDICTION, REQUEST, ROW, TIME

LOGGED = f"{INTERNAL_SCHEMA}.logged"
PREDICTIONS = f"{INTERNAL_SCHEMA}.predictions"


@dataclass(frozen=True)
class Found:
    """`covers`: there are predictions from before the time, too. `unreadable` parts were left out."""

    covers: bool = False
    unreadable: int = 0


def load(connection: Connection, task: contract.JoinTask, directory: Path) -> Found:
    """Download part by part, and keep what is asked for. A log that was never written to is an empty one."""
    said = "VARCHAR" if task.classes is not None else "DOUBLE"
    slices = "".join(f", {slice_column(number)} VARCHAR" for number in range(len(task.slices)))
    connection.execute(
        f"CREATE TABLE {LOGGED} (request VARCHAR, row BIGINT, time BIGINT, key VARCHAR, said {said}, bin BIGINT{slices})"
    )
    found = _fill(connection, task, directory)
    # A request that a caller repeated is one prediction. Ids need not be unique, so the key decides with them.
    connection.execute(
        f"CREATE VIEW {PREDICTIONS} AS SELECT DISTINCT ON (request, row, key) * FROM {LOGGED} ORDER BY time"
    )
    return found


def _fill(connection: Connection, task: contract.JoinTask, directory: Path) -> Found:
    since, until = _microseconds(task.since), _microseconds(task.until)
    source = Source(task.model, task.version, task.digest)
    with stores.failures(task.log):
        try:
            store = stores.open_store(task.log)
        except FileNotFoundError:
            return Found()
        parts = payloads.between(store, source, since, until)
        directory.mkdir(parents=True)
        read = [_read(connection, store, part, directory, task) for part in parts]
        return Found(payloads.began_by(store, source, since), read.count(False))


def slice_column(number: int) -> str:
    """Of the table: what the input by that place in `task.slices` was, as text."""
    return f"slice_{number}"


def _microseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * MICROSECONDS)


def _read(connection: Connection, store: ObjectStore, part: Part, directory: Path, task: contract.JoinTask) -> bool:
    """False when it is no part that can be read. One that was deleted meanwhile was too old to be asked for."""
    path = directory / "part.parquet"
    try:
        path.write_bytes(obstore.get(store, part.path).bytes())
    except FileNotFoundError as error:
        if not stores.is_absent(error):
            raise
        return True
    try:
        connection.execute(_insert(path, task))
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        return False
    return True


def _insert(path: Path, task: contract.JoinTask) -> str:
    time = f"epoch_us({TIME})"
    place = BIN if task.score_bins else "NULL"
    slices = "".join(f", CAST({quoted(name)} AS VARCHAR)" for name in task.slices)
    return (
        f"INSERT INTO {LOGGED} SELECT {REQUEST}, {ROW}, {time}, {KEY}, {PREDICTION}, {place}{slices} "
        f"FROM read_parquet({literal(str(path))}) "
        f"WHERE {time} >= {_microseconds(task.since)} AND {time} < {_microseconds(task.until)}"
    )
