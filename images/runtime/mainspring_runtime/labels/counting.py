"""Predictions with their labels, counted as a server counts feedback (`serve/monitoring/feedback.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.api import contract
from mainspring.api.monitoring import ErrorSums, FeedbackCounts, LabelMoments
from mainspring_runtime.data.engine import INTERNAL_SCHEMA, Connection, literal, row, rows
from mainspring_runtime.labels.known import KNOWN
from mainspring_runtime.labels.predictions import PREDICTIONS, slice_column
from mainspring_runtime.serve.monitoring.feedback import CONFUSION_CLASSES, label_index, texts_of

MOST_VALUES = 20  # of a column that is sliced
JOINED = f"{INTERNAL_SCHEMA}.joined"


def count(connection: Connection, task: contract.JoinTask) -> contract.JoinReport:
    """All but `covers` and `unreadable`, which the log alone knows."""
    # An ambiguous key has no label that could be counted.
    connection.execute(
        f"CREATE VIEW {JOINED} AS SELECT p.*, CASE WHEN labels = 1 THEN label END AS label, "
        f"coalesce(labels > 1, false) AS ambiguous FROM {PREDICTIONS} p LEFT JOIN {KNOWN} USING (key)"
    )
    numbers = "count(*), count(*) FILTER (key IS NULL), count(*) FILTER (ambiguous)"
    total, without, ambiguous = row(connection, f"SELECT {numbers} FROM {JOINED}")
    feedback, predicted = _counted(connection, task, "true")
    slices, refused = _slices(connection, task)
    return contract.JoinReport(
        rows=total,
        covers=False,
        without_key=without,
        ambiguous=ambiguous,
        predicted=predicted,
        feedback=feedback,
        slices=slices,
        refused_slices=refused,
    )


def _slices(connection: Connection, task: contract.JoinTask) -> tuple[list[contract.SliceCounts], list[str]]:
    made: list[contract.SliceCounts] = []
    refused: list[str] = []
    for number, name in enumerate(task.slices):
        place = slice_column(number)
        found = rows(
            connection, f"SELECT {place}, count(*) FROM {JOINED} GROUP BY 1 ORDER BY 1 LIMIT {MOST_VALUES + 2}"
        )
        if sum(value is not None for value, _ in found) > MOST_VALUES:
            refused.append(f"{name!r} has more than {MOST_VALUES} values and cannot be a slice")
            continue
        for value, number_of_rows in found:
            where = f"{place} IS NOT DISTINCT FROM {'NULL' if value is None else literal(value)}"
            feedback, _ = _counted(connection, task, where)
            made.append(contract.SliceCounts(column=name, category=value, rows=number_of_rows, feedback=feedback))
    return made, refused


def _counted(connection: Connection, task: contract.JoinTask, where: str) -> tuple[FeedbackCounts, list[int] | None]:
    """Labels, and rows by predicted class, of the rows that this condition holds for."""
    if task.classes is None:
        return _errors(connection, where), None
    return _classes(connection, task, task.classes, where)


def _classes(
    connection: Connection, task: contract.JoinTask, classes: Sequence[str], where: str
) -> tuple[FeedbackCounts, list[int]]:
    tally = Tally(classes, task.positive, task.score_bins)
    grouped = f"SELECT said, bin, label, count(*) FROM {JOINED} WHERE {where} GROUP BY ALL"
    for said, place, label, number in rows(connection, grouped):
        tally.add(said, place, label, number)
    return tally.feedback(), tally.predicted


@dataclass
class Tally:
    """Counts of a classifier."""

    classes: Sequence[str]
    positive: str | None
    bins: int
    predicted: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.predicted = [0] * len(self.classes)
        self._index = label_index(self.classes)
        self._rows = self._refused = self._correct = 0
        self._confusion = [[0] * len(self.classes) for _ in self.classes]
        self._score_rows, self._score_positives = [0] * self.bins, [0] * self.bins

    def add(self, said: str, place: int | None, label: Any, number: int) -> None:
        """So many predictions of class `said`; without a label they only count as predicted."""
        predicted = self._index.get(said)
        if predicted is not None:
            self.predicted[int(predicted)] += number
        if label is None:
            return
        actual = next((self._index[text] for text in texts_of(label) if text in self._index), None)
        if actual is None:
            self._refused += number
            return
        self._rows += number
        self._correct += number * (predicted == actual)
        if predicted is not None:
            self._confusion[int(predicted)][int(actual)] += number
        if place is not None and place < self.bins:
            self._score_rows[place] += number
            self._score_positives[place] += number * (self.classes[int(actual)] == self.positive)

    def feedback(self) -> FeedbackCounts:
        return FeedbackCounts(
            rows=self._rows,
            refused=self._refused,
            correct=self._correct,
            confusion=self._confusion if len(self.classes) <= CONFUSION_CLASSES else None,
            score_rows=self._score_rows if self.bins else None,
            score_positives=self._score_positives if self.bins and self.positive is not None else None,
        )


SUMS = ("abs(e)", "e * e", "e ** 4", "l", "l * l", "l ** 3", "l ** 4", "e * e * l", "e * e * l * l")


def _errors(connection: Connection, where: str) -> FeedbackCounts:
    """Of a regression. `fsum` makes the order of rows matter as little as it can."""
    errors = f"SELECT said - CAST(label AS DOUBLE) AS e, CAST(label AS DOUBLE) AS l FROM {JOINED} WHERE label IS NOT NULL AND {where}"
    sums = ", ".join(f"coalesce(fsum({term}), 0)" for term in SUMS)
    (given,) = row(connection, f"SELECT count(*) FROM ({errors})")
    counted, *found = row(connection, f"SELECT count(*), {sums} FROM ({errors}) WHERE isfinite(e) AND isfinite(l)")
    absolute, squared, fourth, labels, labels_squared, *moments = found
    names = ("third", "fourth", "squared_errors_labels", "squared_errors_labels_squared")
    return FeedbackCounts(
        rows=counted,
        refused=given - counted,
        errors=ErrorSums(
            rows=counted,
            absolute=absolute,
            squared=squared,
            fourth=fourth,
            labels=labels,
            labels_squared=labels_squared,
            moments=LabelMoments(rows=counted, **dict(zip(names, moments, strict=True))),
        ),
    )
