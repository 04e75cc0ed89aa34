"""The JSON of `GET /monitor/snapshot` and `GET /monitor/reference`: the structs of `mainspring.api.monitoring`.

They are written a second time because importing the contract imports pydantic, and msgspec encodes ten times faster; a
unit test compares the two. Fields that have their default are left out.
"""

from __future__ import annotations

import msgspec

SNAPSHOT_PATH = "/monitor/snapshot"
REFERENCE_PATH = "/monitor/reference"
FEEDBACK_OUTPUT = "feedback_token"
FORMAT = 1


class ReferenceColumn(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    kind: str
    edges: list[float] | None = None
    categories: list[str] | None = None
    counts: list[int] = []
    missing: int = 0
    unseen: int = 0
    out_of_range: int = 0


class Calibration(msgspec.Struct, frozen=True):
    rows: list[int]
    predicted: list[float]
    positives: list[int]


class ReferencePrediction(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    output: str
    source: str
    rows: int
    counts: list[int]
    edges: list[float] | None = None
    classes: list[str] | None = None
    positive: str | None = None
    threshold: float | None = None
    calibration: Calibration | None = None


class Reference(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    model: str
    version: str
    digest: str
    rows_of: str
    rows: int
    columns: list[ReferenceColumn]
    format: int = FORMAT
    reason: str | None = None
    prediction: ReferencePrediction | None = None
    task: str | None = None
    classes: list[str] | None = None
    key: str | None = None


class ColumnCounts(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    counts: list[int] = []
    missing: int = 0
    unseen: int = 0
    out_of_range: int = 0
    coerced: int = 0


class LabelMoments(msgspec.Struct, rename="camel"):
    """Counted in by `ErrorSums`."""

    rows: int = 0
    third: float = 0.0
    fourth: float = 0.0
    squared_errors_labels: float = 0.0
    squared_errors_labels_squared: float = 0.0

    def add(self, squared_error: float, label: float) -> None:
        self.rows += 1
        self.third += label**3
        self.fourth += label**4
        self.squared_errors_labels += squared_error * label
        self.squared_errors_labels_squared += squared_error * label**2


class ErrorSums(msgspec.Struct, rename="camel"):
    """Of prediction minus label; counted in, and not only encoded."""

    rows: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    fourth: float = 0.0
    labels: float = 0.0
    labels_squared: float = 0.0
    moments: LabelMoments | None = msgspec.field(default_factory=LabelMoments)

    def add(self, prediction: float, label: float) -> None:
        error = prediction - label
        self.rows += 1
        self.absolute += abs(error)
        self.squared += error**2
        self.fourth += error**4
        self.labels += label
        self.labels_squared += label**2
        if self.moments is not None:
            self.moments.add(error**2, label)


class FeedbackCounts(msgspec.Struct, rename="camel", omit_defaults=True):
    rows: int = 0
    refused: int = 0
    repeated: int = 0
    correct: int | None = None
    confusion: list[list[int]] | None = None
    score_rows: list[int] | None = None
    score_positives: list[int] | None = None
    errors: ErrorSums | None = None


class PayloadCounts(msgspec.Struct, rename="camel", omit_defaults=True):
    """Counted in by the payload log, each field by one thread alone."""

    written: int = 0
    dropped: int = 0
    parts: int = 0
    failures: int = 0
    reason: str | None = None


class Snapshot(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    model: str
    version: str
    digest: str
    epoch: str
    started: str
    rows: int
    columns: list[ColumnCounts]
    format: int = FORMAT
    final: bool = False
    reason: str | None = None
    prediction: list[int] | None = None
    predicted: list[int] | None = None
    feedback: FeedbackCounts | None = None
    other_feedback: dict[str, FeedbackCounts] = {}
    payloads: PayloadCounts | None = None
