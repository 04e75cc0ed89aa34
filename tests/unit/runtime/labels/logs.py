"""Payload logs and labelled data, made up row by row, and what a join makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import obstore

from mainspring.api import contract
from mainspring_runtime import parquet, stores
from mainspring_runtime.labels import command
from mainspring_runtime.parquet import Column, Kind
from mainspring_runtime.payloads import MICROSECONDS, Source
from mainspring_runtime.serve.payloads import rows as names
from tests.unit.runtime.data.preparing import LIMITS, Made, Workshop

SOURCE = Source("churn", "7", "sha256:" + "ab" * 32)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """A prediction, so many seconds after noon."""

    key: str | None
    prediction: Any
    bin: int = 0
    second: float = 0.0
    request: str = ""
    plan: str | None = "basic"
    visits: float | None = 1.0


@dataclass
class Lab:
    """One log and one store of data, below one directory or bucket."""

    root: Path
    log: str
    workshop: Workshop

    def write(self, *said: Said, source: Source = SOURCE, number: int = 1) -> str:
        """One part; its path."""
        times = [int((NOON.timestamp() + one.second) * MICROSECONDS) for one in said]
        path = source.path(min(times), max(times), "00ff", number)
        obstore.put(stores.open_store(self.log, create=True), path, parquet.encode(columns(said, times)))
        return path

    def data(self, labels: Mapping[Any, Any], **spec: Any) -> Made:
        """A dataset version with these labels by key."""
        columns = {"id": list(labels), "x": [float(n) for n in range(len(labels))], "y": list(labels.values())}
        return self.workshop.prepare_rows(columns, {"key": "id", **spec})

    def task(self, made: Made, **changes: Any) -> contract.JoinTask:
        facts: dict[str, Any] = {
            "log": self.log,
            "model": SOURCE.model,
            "version": SOURCE.version,
            "digest": SOURCE.digest,
            "since": "2026-03-01T00:00:00Z",
            "until": "2026-03-02T00:00:00Z",
            "dataset": made.reference(),
            "key": "id",
            "target": "y",
            "classes": ["no", "yes"],
            "positive": "yes",
            "score_bins": 2,
        }
        return contract.JoinTask(namespace="team", monitor="churn", **{**facts, **changes})

    def join(self, made: Made, **changes: Any) -> contract.JoinReport:
        work = self.root / "join"
        work.mkdir(exist_ok=True)
        return command.join(self.task(made, **changes), work, LIMITS, lambda percent, stage: None)


def columns(said: Sequence[Said], times: Sequence[int]) -> list[Column]:
    texts = all(isinstance(one.prediction, str) for one in said)
    return [
        text(names.REQUEST, [one.request or f"request-{number}" for number, one in enumerate(said)]),
        Column(names.ROW, Kind.INTEGER, np.zeros(len(said), dtype=np.int64)),
        Column(names.TIME, Kind.TIME, np.array(times)),
        text(names.KEY, [one.key for one in said]),
        text(names.PREDICTION, [one.prediction for one in said])
        if texts
        else Column(names.PREDICTION, Kind.FLOAT, np.array([one.prediction for one in said])),
        Column(names.BIN, Kind.INTEGER, np.array([one.bin for one in said])),
        text("a plan", [one.plan for one in said]),
        Column(
            "visits",
            Kind.FLOAT,
            np.array([one.visits or 0.0 for one in said]),
            np.array([one.visits is not None for one in said]),
        ),
    ]


def text(name: str, values: Sequence[str | None]) -> Column:
    found = np.array([value or "" for value in values], dtype=object)
    return Column(name, Kind.TEXT, found, np.array([value is not None for value in values]))
