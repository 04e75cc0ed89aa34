"""One window out of the counters of many servers.

A server counts since its start and never forgets; differences of what it said are therefore complete, however often it
was read. Another `epoch` is another start: all that it says is new. All counts are of one reference (`digest`).
Called by whoever reads the servers, with what it read of each last time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from mainspring.api.monitoring import ColumnCounts, FeedbackCounts, Reference, Snapshot
from mainspring.api.v1alpha1.common import ApiModel

SIGNED = frozenset({"labels"})  # sums of what may be negative; everything else only grows

_Operation = Callable[[Any, Any], Any]


class WindowCounts(ApiModel):
    """What all servers of one version counted in some time; like a `Snapshot`, but of no server and no epoch."""

    digest: str
    rows: int
    columns: list[ColumnCounts]
    prediction: list[int] | None = None
    predicted: list[int] | None = None
    feedback: FeedbackCounts | None = None


class CountsError(ValueError):
    """What a server says cannot be true, or is not about the same bins. `server` is the key under which it was passed."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(f"server {server}: {problem}")
        self.server = server


def counted_since(previous: Mapping[str, Snapshot], current: Mapping[str, Snapshot]) -> WindowCounts | None:
    """What all servers together counted since they were read last; None when none answered.

    Keys name servers. A server that is not in `previous` has counted all it says in this time: to start watching servers
    that are there already, pass their first answers as `previous` of the next call. Keep the last answer of a server
    that does not answer for a while. Raises `CountsError` for counts that went down in one epoch, and for other bins.
    """
    total: WindowCounts | None = None
    for server, snapshot in current.items():
        part = counted_by(server, previous.get(server), snapshot)
        total = part if total is None else _combined(operator.add, server, total, part)
    return total


def counted_by(server: str, earlier: Snapshot | None, later: Snapshot) -> WindowCounts:
    """What one server counted between two answers. Raises `CountsError`."""
    total = of_snapshot(later)
    if earlier is None or earlier.epoch != later.epoch:
        return total
    return _combined(_difference, server, total, of_snapshot(earlier))


def of_snapshot(snapshot: Snapshot) -> WindowCounts:
    """All that a server has counted since its start."""
    return WindowCounts(**{name: getattr(snapshot, name) for name in WindowCounts.model_fields})


def added(first: WindowCounts, *others: WindowCounts) -> WindowCounts:
    """The counts together. Raises `CountsError` when they are not of the same bins."""
    for other in others:
        first = _combined(operator.add, "of another window", first, other)
    return first


def rebased(reference: Reference, counts: WindowCounts) -> Reference:
    """The reference with the counts of a window instead of its own: same bins, same calibration.

    Columns that the window did not count are left out.
    """
    counted = {column.name: column for column in counts.columns}
    columns = [
        column.model_copy(update=_sample(counted[column.name]))
        for column in reference.columns
        if column.name in counted
    ]
    prediction = reference.prediction
    if prediction is not None and counts.prediction is not None:
        prediction = prediction.model_copy(update={"counts": counts.prediction, "rows": sum(counts.prediction)})
    return reference.model_copy(update={"rows": counts.rows, "columns": columns, "prediction": prediction})


def _sample(column: ColumnCounts) -> dict[str, Any]:
    return {name: getattr(column, name) for name in ("counts", "missing", "unseen", "out_of_range")}


def _combined(operation: _Operation, server: str, left: WindowCounts, right: WindowCounts) -> WindowCounts:
    try:
        total: WindowCounts = _models(operation, left, right)
    except _Disagreement as found:
        raise CountsError(server, str(found)) from None
    return total


class _Disagreement(Exception):
    """Where two counts do not go together, and why not."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(f"{'.'.join(path)} {problem}")
        self.problem, self.path = problem, path


def _models(operation: _Operation, left: Any, right: Any) -> Any:
    """Field by field, so that a field which the contract gains is counted, too."""
    values: dict[str, Any] = {}
    for name in type(left).model_fields:
        chosen = operator.sub if operation is _difference and name in SIGNED else operation
        try:
            values[name] = _values(chosen, getattr(left, name), getattr(right, name))
        except _Disagreement as found:
            raise _Disagreement(found.problem, name, *found.path) from None
    return type(left)(**values)


def _values(operation: _Operation, left: Any, right: Any) -> Any:
    """None stands for nothing counted."""
    if right is None or left is None:
        return _one_of(operation, left, right)
    if isinstance(left, list):
        return _lists(operation, left, right)
    if isinstance(left, ApiModel):
        return _models(operation, left, right)
    if isinstance(left, str):
        return _same(left, right)
    return operation(left, right)


def _one_of(operation: _Operation, left: Any, right: Any) -> Any:
    if right is None:
        return left
    if operation is operator.add:
        return right
    raise _Disagreement("is not counted any more")


def _lists(operation: _Operation, left: list[Any], right: list[Any]) -> list[Any]:
    if len(left) != len(right):
        raise _Disagreement(f"has {len(left)} parts, and elsewhere {len(right)}")
    if left and isinstance(left[0], int):  # nearly all are, and this is the quick way
        return [*map(operation, left, right)]
    return [_values(operation, mine, theirs) for mine, theirs in zip(left, right, strict=True)]


def _same(left: str, right: str) -> str:
    if left != right:
        raise _Disagreement(f"is {left}, and elsewhere {right}")
    return left


def _difference(later: float, earlier: float) -> float:
    if later < earlier:
        raise _Disagreement(f"went down from {earlier} to {later} within one epoch")
    return later - earlier
