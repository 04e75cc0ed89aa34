"""Whether the data that comes in is worse than what the model was made from.

A share (missing, unseen, out of range, coerced) is worse when it has certainly grown by more than is allowed: the lower
bound of the difference to the reference's share is above the allowed increase. The bounds hold for all checks of a
window together (Bonferroni), at level 0.001.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from mainspring.api.monitoring import ColumnCounts, Reference, ReferenceColumn
from mainspring.plan.statistics.bins import percent
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.distributions import normal_upper_quantile
from mainspring.plan.statistics.proportions import least_increase

FAMILY_ALPHA = 0.001


class Check(StrEnum):
    """What can be wrong with a value."""

    MISSING = "missing"
    UNSEEN = "unseen"
    OUT_OF_RANGE = "out_of_range"
    COERCED = "coerced"


_WORDS = {
    Check.MISSING: "missing",
    Check.UNSEEN: "with a value that training never saw",
    Check.OUT_OF_RANGE: "outside the range of training",
    Check.COERCED: "sent as integers where numbers are expected",
}


@dataclass(frozen=True)
class Allowed:
    """By how much a share may grow, in shares of rows; None: it is not checked. Coercion loses nothing, so by default
    it is not."""

    missing: float | None = 0.05
    unseen: float | None = 0.01
    out_of_range: float | None = 0.02
    coerced: float | None = None


@dataclass(frozen=True)
class Finding:
    """One check of one column. Shares are of all rows; `least` is the lower bound of the increase."""

    column: str
    check: Check
    share: float
    reference: float
    least: float
    allowed: float

    @property
    def degraded(self) -> bool:
        return self.least > self.allowed

    @property
    def explanation(self) -> str:
        """For example: age: 12 % of rows missing, 2 % in the reference; 5 % more are allowed."""
        now, before = percent(self.share), percent(self.reference)
        text = f"{self.column}: {now} of rows {_WORDS[self.check]}, {before} in the reference"
        return f"{text}; {percent(self.allowed)} more are allowed"


@dataclass(frozen=True)
class _Counted:
    column: str
    check: Check
    allowed: float
    now: tuple[int, int]  # such rows, all rows
    before: tuple[int, int]


def judge(
    reference: Reference, window: WindowCounts, allowed: Allowed, exclude: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Every check of every column that can fail, in the reference's order. Raises ValueError for other bins."""
    if window.digest != reference.digest:
        raise ValueError(f"the window was counted with bins {window.digest}, the reference has {reference.digest}")
    counted = list(_counted(reference, window, allowed, exclude))
    z = normal_upper_quantile(FAMILY_ALPHA / max(len(counted), 1))
    return tuple(_finding(item, z) for item in counted)


def _counted(
    reference: Reference, window: WindowCounts, allowed: Allowed, exclude: Collection[str]
) -> Iterable[_Counted]:
    columns = {column.name: column for column in window.columns if column.name not in exclude}
    for before in reference.columns:
        if (now := columns.get(before.name)) is not None:
            for check in _checks(before):
                if (limit := getattr(allowed, check.value)) is not None:
                    sizes = _rows(now, window.rows), _rows(before, reference.rows)
                    yield _Counted(
                        before.name, check, limit, (_number(now, check), sizes[0]), (_number(before, check), sizes[1])
                    )


def _checks(column: ReferenceColumn) -> tuple[Check, ...]:
    if column.categories is not None:
        return (Check.MISSING, Check.UNSEEN)
    return (Check.MISSING, Check.OUT_OF_RANGE, Check.COERCED) if column.counts else (Check.MISSING,)


def _rows(column: ReferenceColumn | ColumnCounts, rows: int) -> int:
    """All rows of the column; `rows` for a String, which counts only what is missing."""
    return sum(column.counts) + column.missing if column.counts else max(rows, column.missing)


def _number(column: ReferenceColumn | ColumnCounts, check: Check) -> int:
    """Nothing in a reference was coerced."""
    number: int = getattr(column, check.value, 0)
    return number


def _finding(item: _Counted, z: float) -> Finding:
    shares = [number / rows if rows else 0.0 for number, rows in (item.now, item.before)]
    least = least_increase(*item.now, *item.before, z)
    return Finding(item.column, item.check, shares[0], shares[1], least, item.allowed)
