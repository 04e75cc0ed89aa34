"""Answered requests as the columns of a part. Runs in the log's own thread and touches nothing shared.

Names of ours begin with `mainspring_`, which no column of a Dataset does. Features have their own names and the types of
the signature; a missing value is null. What is to be redacted is left out here, before anything is encoded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from mainspring_runtime import parquet
from mainspring_runtime.parquet import Kind
from mainspring_runtime.serve import tables
from mainspring_runtime.serve.monitoring.predictions import LABEL, Predictions
from mainspring_runtime.serve.payloads.mark import Mark
from mainspring_runtime.serve.predicting import Outputs, Results
from mainspring_runtime.serve.tables import Schema, Table
from mainspring_runtime.serve.tensors import Array

REQUEST, ROW, TIME = "mainspring_request", "mainspring_row", "mainspring_time"
MODEL, VERSION, KEY = "mainspring_model", "mainspring_version", "mainspring_key"
PREDICTION, SCORE, BIN = "mainspring_prediction", "mainspring_score", "mainspring_bin"
KINDS = {"FP64": Kind.FLOAT, "INT64": Kind.INTEGER, "BOOL": Kind.BOOLEAN, "BYTES": Kind.TEXT}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A request that was answered; `time` in microseconds since 1970."""

    mark: Mark
    time: int
    table: Table
    results: Results

    @property
    def rows(self) -> int:
        return self.table.rows


class Rows:
    """How the rows of one model are written."""

    def __init__(
        self, model: str, version: str, schema: Schema, predictions: Predictions, redact: Collection[str] = ()
    ) -> None:
        self._names = {MODEL: model, VERSION: version}
        self._schema = schema
        self._predictions = predictions
        self._redact = frozenset(redact)

    @property
    def outputs(self) -> Outputs:
        """What every call of the model must compute."""
        return self._predictions.outputs

    def unknown(self) -> list[str]:
        """What shall be redacted and is no input: perhaps a slip of the pen for one that would be written then."""
        return sorted(self._redact - self._schema.names - {self._schema.key})

    def columns(self, entries: Sequence[Entry]) -> list[parquet.Column]:
        """At least one entry."""
        rows = np.array([entry.rows for entry in entries])
        table = tables.join([entry.table for entry in entries])
        return [
            parquet.Column(REQUEST, Kind.TEXT, np.repeat(_texts([entry.mark.request for entry in entries]), rows)),
            parquet.Column(ROW, Kind.INTEGER, np.concatenate([np.arange(count) for count in rows])),
            parquet.Column(TIME, Kind.TIME, np.repeat(np.array([entry.time for entry in entries]), rows)),
            *(parquet.Column(name, Kind.TEXT, np.full(table.rows, text, object)) for name, text in self._names.items()),
            self._keys(entries),
            *self._answers({name: _joined(entries, name) for name in self.outputs}),
            *self._features(table),
        ]

    def _keys(self, entries: Sequence[Entry]) -> parquet.Column:
        """Without the key, and for requests that have none, all null."""
        redacted = self._schema.key in self._redact
        keys = [key for e in entries for key in (None if redacted else e.table.keys) or (None,) * e.rows]
        return parquet.Column(
            KEY, Kind.TEXT, _texts([key or "" for key in keys]), np.array([k is not None for k in keys])
        )

    def _answers(self, results: Results) -> list[parquet.Column]:
        if LABEL not in results:  # several labels a row, or none
            return []
        labels = results[LABEL]
        said = parquet.Column(PREDICTION, Kind.FLOAT, labels)
        if self._predictions.classes is not None or labels.dtype == object:
            said = parquet.Column(PREDICTION, Kind.TEXT, _texts([str(label) for label in labels.tolist()]))
        if not self._predictions.score_bins:
            return [said]
        scores = parquet.Column(SCORE, Kind.FLOAT, self._predictions.scores(results))
        return [said, scores, parquet.Column(BIN, Kind.INTEGER, self._predictions.bins(results))]

    def _features(self, table: Table) -> list[parquet.Column]:
        values = self._schema.by_name(table)
        kept = [column for column in self._schema.columns if column.name not in self._redact]
        return [
            parquet.Column(c.name, KINDS[c.datatype], values[c.name], _present(c.datatype, values[c.name]))
            for c in kept
        ]


def _joined(entries: Sequence[Entry], name: str) -> Array:
    return np.concatenate([entry.results[name] for entry in entries])


def _present(datatype: str, values: Array) -> Array | None:
    match datatype:
        case "FP64":
            return ~np.isnan(values)
        case "BYTES":
            return np.asarray(values != "", dtype=np.bool_)
        case _:
            return None


def _texts(values: Sequence[str]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
