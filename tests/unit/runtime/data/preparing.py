"""Run `prepare` on small tables, as the Job would, with directories for source, work and store."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.api.v1alpha1.datasetversion import CheckResult, ColumnProfile
from mainspring_runtime.data.limits import MIB, Limits
from mainspring_runtime.data.prepare import prepare
from mainspring_runtime.data.sources import Places

REFRESHED_AT = "2026-02-01T00:00:00Z"
LIMITS = Limits(cpus=2, memory_bytes=768 * MIB)
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Made:
    """A report and the directory that was published."""

    report: contract.PrepareReport
    directory: Path

    def table(self, side: str) -> pa.Table:
        return pq.read_table(self.directory / "data" / f"{side}.parquet")

    def values(self, column: str, *sides: str) -> list[Any]:
        return [value for side in sides or ("train", "test") for value in self.table(side).column(column).to_pylist()]

    def facts(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "dataset.json").read_text()))

    def columns(self) -> dict[str, dict[str, Any]]:
        return {entry["name"]: entry for entry in json.loads((self.directory / "columns.json").read_text())}

    def profile(self) -> dict[str, dict[str, Any]]:
        return {entry["name"]: entry for entry in json.loads((self.directory / "profile.json").read_text())["columns"]}

    def check(self, name: str) -> CheckResult:
        return next(check for check in self.report.checks if check.name == name)

    def column(self, name: str) -> ColumnProfile:
        return next(column for column in self.report.columns if column.name == name)

    def reference(self) -> contract.ArtifactRef:
        """As the operator passes it to the next preparation."""
        assert self.report.uri
        assert self.report.digest
        return contract.ArtifactRef(name="previous", uri=self.report.uri, digest=self.report.digest)


@dataclass(frozen=True)
class Workshop:
    """Prepares data sets below one temporary directory; all share a store."""

    root: Path
    _runs: Any = field(default_factory=count)

    def parquet(self, columns: Columns | pa.Table, name: str = "rows.parquet") -> str:
        """Write a source file; returns its URI."""
        table = (
            columns if isinstance(columns, pa.Table) else pa.table({key: list(value) for key, value in columns.items()})
        )
        pq.write_table(table, self._source(name))
        return self._source(name).as_uri()

    def text(self, content: str | bytes, name: str = "rows.csv") -> str:
        data = content.encode() if isinstance(content, str) else content
        self._source(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return self._source(name).as_uri()

    def task(self, spec: Mapping[str, Any], **task: Any) -> contract.PrepareTask:
        fields = {
            "destination": (self.root / "store").as_uri(),
            "image": "runtime@sha256:1",
            "refreshed_at": REFRESHED_AT,
            **task,
        }
        return contract.PrepareTask(namespace="team", dataset="rows", spec=DatasetSpec.model_validate(spec), **fields)

    def prepare(self, spec: Mapping[str, Any], *, limits: Limits = LIMITS, **task: Any) -> Made:
        """Prepare with `spec`; other arguments are fields of the task."""
        work = self.root / f"work-{next(self._runs)}"
        work.mkdir()
        report = prepare(
            self.task(spec, **task), Places(work, self.root / "source"), limits, lambda percent, stage: None
        )
        return Made(report, work / "version")

    def prepare_rows(self, columns: Columns, spec: Mapping[str, Any] | None = None, **task: Any) -> Made:
        """Prepare a table given by columns; the target is `y` unless the spec says otherwise."""
        return self.prepare({"source": {"uri": self.parquet(columns)}, "target": "y", **(spec or {})}, **task)

    def prepare_csv(self, content: str, spec: Mapping[str, Any] | None = None, **task: Any) -> Made:
        return self.prepare({"source": {"uri": self.text(content)}, "target": "y", **(spec or {})}, **task)

    def _source(self, name: str) -> Path:
        path = self.root / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def two_classes(rows: int) -> dict[str, list[Any]]:
    """`rows` rows: a key `id`, a float `x`, an integer `n`, a category `c` and the target `y`."""
    return {
        "id": [f"row-{number}" for number in range(rows)],
        "x": [number / 7 for number in range(rows)],
        "n": [number % 5 for number in range(rows)],
        "c": ["red" if number % 3 else "green" for number in range(rows)],
        "y": ["yes" if number % 2 else "no" for number in range(rows)],
    }
