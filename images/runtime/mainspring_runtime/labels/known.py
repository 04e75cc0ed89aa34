"""The labelled rows of a dataset version as the table `KNOWN`: one row for each key."""

from __future__ import annotations

from pathlib import Path

import duckdb

from mainspring.api import contract
from mainspring_runtime import artifacts
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, literals, quoted
from mainspring_runtime.data.split import SIDES, UNLABELLED
from mainspring_runtime.errors import PermanentError

KNOWN = f"{INTERNAL_SCHEMA}.known"
FILES = frozenset(f"data/{side}.parquet" for side in SIDES if side != UNLABELLED)


def load(connection: Connection, task: contract.JoinTask, directory: Path) -> None:
    """Whether a row is for training or held out makes no difference. `labels` counts how many a key has."""
    manifest = artifacts.fetch(task.dataset.uri, task.dataset.digest, directory, only=FILES)
    paths = literals([str(directory / file.path) for file in manifest.files if file.path in FILES])
    key, label = quoted(task.key), quoted(task.target)
    try:
        connection.execute(
            f"CREATE TABLE {KNOWN} AS SELECT CAST({key} AS VARCHAR) AS key, min({label}) AS label, "
            f"count(DISTINCT {label}) AS labels FROM read_parquet([{paths}]) WHERE {label} IS NOT NULL GROUP BY 1"
        )
    except duckdb.BinderException as error:
        text = f"DatasetVersion {task.dataset.name} has no column {task.key!r}; correct spec.performance.labels.key, or spec.key of the Dataset"
        raise PermanentError("KeyNotFound", text) from error
