"""What servers of a monitored model say, ready-made: references, windows, snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.api.monitoring import (
    Calibration,
    ColumnCounts,
    FeedbackCounts,
    Reference,
    ReferenceColumn,
    ReferencePrediction,
    Snapshot,
)
from mainspring.plan.statistics.counts import WindowCounts

DIGEST = "sha256:bins"


def numbers(
    name: str, edges: Sequence[float], counts: Sequence[int], kind: str = "Float", **more: int
) -> ReferenceColumn:
    return ReferenceColumn(name=name, kind=kind, edges=[*edges], counts=[*counts], **more)


def categories(name: str, known: Sequence[str], counts: Sequence[int], **more: int) -> ReferenceColumn:
    return ReferenceColumn(name=name, kind="Category", categories=[*known], counts=[*counts], **more)


def probabilities(
    edges: Sequence[float],
    counts: Sequence[int],
    positives: Sequence[int] | None = None,
    calibration_rows: Sequence[int] | None = None,
    **more: Any,
) -> ReferencePrediction:
    """Of the class `yes`, with calibration when `positives` are given."""
    rows = [*(calibration_rows or counts)]
    calibration = positives and Calibration(rows=rows, predicted=[0.0] * len(rows), positives=[*positives])
    facts = {"output": "predict_proba", "source": "OutOfFold", "positive": "yes", "threshold": 0.5}
    return ReferencePrediction(
        edges=[*edges], counts=[*counts], rows=sum(counts), calibration=calibration or None, **{**facts, **more}
    )


def reference(*columns: ReferenceColumn, rows: int | None = None, **more: Any) -> Reference:
    counted = max((sum(column.counts) + column.missing for column in columns), default=0)
    facts = {"model": "m", "version": "m-1", "digest": DIGEST, "rows_of": "train", "task": "Classification"}
    return Reference(columns=[*columns], rows=counted if rows is None else rows, **{**facts, **more})


def column(name: str, counts: Sequence[int] = (), **more: int) -> ColumnCounts:
    return ColumnCounts(name=name, counts=[*counts], **more)


def window(*columns: ColumnCounts, rows: int | None = None, **more: Any) -> WindowCounts:
    counted = max((sum(column.counts) + column.missing for column in columns), default=0)
    return WindowCounts(**{"digest": DIGEST, **more}, columns=[*columns], rows=counted if rows is None else rows)


def same_as(reference: Reference) -> WindowCounts:
    """A window in which exactly the reference's rows came again."""
    columns = [
        column(c.name, c.counts, missing=c.missing, unseen=c.unseen, out_of_range=c.out_of_range)
        for c in reference.columns
    ]
    prediction = reference.prediction
    return window(*columns, rows=reference.rows, prediction=list(prediction.counts) if prediction else None)


def labelled(window: WindowCounts, **feedback: Any) -> WindowCounts:
    return window.model_copy(update={"feedback": FeedbackCounts(**feedback)})


def snapshot(counts: WindowCounts, epoch: str = "1") -> Snapshot:
    facts = {name: getattr(counts, name) for name in WindowCounts.model_fields}
    return Snapshot(model="m", version="m-1", epoch=epoch, started="2026-01-01T00:00:00Z", **facts)
