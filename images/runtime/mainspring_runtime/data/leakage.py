"""Two ways in which a test set knows too much, reported as warnings.

Rows of the test side that equal a training row in all features are answered from memory. And an identifier can carry
the target when rows were numbered in the order of their classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.api.v1alpha1.dataset import ColumnType, SplitBy, Task
from mainspring.api.v1alpha1.datasetversion import CheckResult
from mainspring_runtime.data.engine import quoted, row
from mainspring_runtime.data.profile import Summary
from mainspring_runtime.data.roles import Role
from mainspring_runtime.data.split import TEST, TRAIN
from mainspring_runtime.data.version import LABELLED, Version

BINS = 20
MINIMUM_ROWS = 100
# Numbers that nearly fill their range, each once, are row numbers; amounts and measurements leave gaps.
DENSE_SHARE = 0.5
# Distinct counts above 10,000 are estimates with an error of one percent.
UNIQUE_SHARE = 0.95
# Of the variance, or of the errors of always guessing the commonest class, that row numbers alone explain.
SUSPICIOUS_SHARE = 0.2
SHOWN_COLUMNS = 3
MAX_MESSAGE_CHARACTERS = 256


def warnings(version: Version, summaries: Sequence[Summary]) -> list[CheckResult]:
    """Both warnings; always passed."""
    return [duplicate_rows(version), identifiers(version, summaries)]


def duplicate_rows(version: Version) -> CheckResult:
    """Test rows that equal a training row in every feature. A Hash split without a key puts equal rows on one side."""
    found = 0
    if version.spec.split.by is not SplitBy.HASH or version.spec.key:
        features = ", ".join(quoted(name) for name in version.schema.features)
        seen = f"SELECT hash({features}) FROM {version.view(TRAIN)}"
        found = row(
            version.connection, f"SELECT count(*) FROM {version.view(TEST)} WHERE hash({features}) IN ({seen})"
        )[0]
    message = f"warning: {found} test rows equal a training row in all features" if found else ""
    return CheckResult(name="leakage-duplicate-rows", passed=True, rows=found, message=message)


def identifiers(version: Version, summaries: Sequence[Summary]) -> CheckResult:
    """Features that number the rows and, so, tell the target; text that differs in each row; the column of a group split."""
    features = [summary for summary in summaries if summary.role is Role.FEATURE]
    suspects = [f"{summary.name} {reason}" for summary in features if (reason := _suspicion(version, summary))]
    more = f" (and {len(suspects) - SHOWN_COLUMNS} more)" if len(suspects) > SHOWN_COLUMNS else ""
    message = f"warning: {'; '.join(suspects[:SHOWN_COLUMNS])}{more}; see spec.features.exclude" if suspects else ""
    return CheckResult(name="leakage-identifiers", passed=True, rows=0, message=message[:MAX_MESSAGE_CHARACTERS])


def _suspicion(version: Version, summary: Summary) -> str | None:
    if summary.name == version.spec.split.column:
        return "names the group of a row, and no test group occurs in training"
    if version.rows < MINIMUM_ROWS or not _is_unique(version, summary):
        return None
    if summary.type is ColumnType.STRING:
        return "differs in nearly every row, like an identifier"
    if _is_dense(version, summary) and (share := _explained(version, summary)) > SUSPICIOUS_SHARE:
        return f"numbers the rows and alone explains {share:.0%} of the target"
    return None


def _is_unique(version: Version, summary: Summary) -> bool:
    """Whether nearly every row has its own value."""
    return summary.type in (ColumnType.INTEGER, ColumnType.STRING) and summary.distinct >= UNIQUE_SHARE * version.rows


def _is_dense(version: Version, summary: Summary) -> bool:
    return bool((summary.maximum or 0) - (summary.minimum or 0) < version.rows / DENSE_SHARE)


def _explained(version: Version, summary: Summary) -> float:
    """How much of the target the value's bin tells: of the variance, or of the errors of guessing the commonest class."""
    width = ((summary.maximum or 0) - (summary.minimum or 0) + 1) / BINS
    binned = f"SELECT floor(({quoted(summary.name)} - {summary.minimum}) / {width}) AS bin, {quoted(version.spec.target)} AS y FROM {LABELLED}"
    if version.spec.task is Task.REGRESSION:
        means = f"SELECT avg(y) AS mean, count(*) AS n FROM ({binned}) GROUP BY bin"
        between = row(version.connection, f"SELECT sum(n * mean * mean) - sum(n * mean) ** 2 / sum(n) FROM ({means})")[
            0
        ]
        total = version.statistics(version.spec.target).moments.squares
        return between / total if total else 0.0
    counts = f"SELECT bin, y, count(*) AS n FROM ({binned}) GROUP BY bin, y"
    right = row(version.connection, f"SELECT sum(best) FROM (SELECT max(n) AS best FROM ({counts}) GROUP BY bin)")[0]
    guessed = row(version.connection, f"SELECT max(n) FROM (SELECT count(*) AS n FROM ({binned}) GROUP BY y)")[0]
    return float((right - guessed) / (version.rows - guessed)) if guessed < version.rows else 0.0
