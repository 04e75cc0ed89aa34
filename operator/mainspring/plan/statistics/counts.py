"""One window out of the counters of many servers.

A server counts since its start and never forgets; differences of what it said are therefore complete, however often it
was read. Another `epoch` is another start: all that it says is new. All counts are of one reference (`digest`).
Called by whoever reads the servers, with what it read of each last time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from mainspring.api.monitoring import ColumnCounts, FeedbackCounts, Reference, Snapshot
from mainspring.api.v1alpha1.common import ApiModel

SIGNED = frozenset(
    {"labels", "third", "squared_errors_labels"}
)  # sums of what may be negative; everything else only grows
_IS_NONE = partial(operator.is_, None)


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
    begun = [_begun(previous.get(server), snapshot) for server, snapshot in current.items()]
    rows = zip(current, map(of_snapshot, current.values()), begun, strict=True)
    return _total(_parts(rows)) if current else None


def _begun(earlier: Snapshot | None, later: Snapshot) -> WindowCounts | None:
    """What the server had counted when the time began; None for nothing, because it had not started yet."""
    return of_snapshot(earlier) if earlier is not None and earlier.epoch == later.epoch else None


def of_snapshot(snapshot: Snapshot) -> WindowCounts:
    """All that a server has counted since its start."""
    return WindowCounts(**{name: getattr(snapshot, name) for name in WindowCounts.model_fields})


def added(first: WindowCounts, *others: WindowCounts) -> WindowCounts:
    """The counts together. Raises `CountsError` when they are not of the same bins."""
    return _total(_parts(("of another window", part, None) for part in (first, *others)))


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


@dataclass(frozen=True)
class _Parts:
    """What servers have counted and had counted before: first whole windows, then field by field the same place in each.

    `earlier` is shorter than `later` by the servers, at the end, that had counted nothing before.
    """

    servers: Sequence[str]
    later: Sequence[Any]
    earlier: Sequence[Any]

    def each(self, get: Callable[[Any], Any]) -> _Parts:
        return _Parts(self.servers, [*map(get, self.later)], [*map(get, self.earlier)])


def _parts(rows: Iterable[tuple[str, Any, Any]]) -> _Parts:
    """Of (server, later, earlier or None)."""
    ordered = sorted(rows, key=lambda row: row[2] is None)
    servers, later, earlier = ([row[place] for row in ordered] for place in range(3))
    return _Parts(servers, later, [before for before in earlier if before is not None])


class _Disagreement(Exception):
    """Where counts do not go together, and why not."""

    def __init__(self, server: str, problem: str, *path: str) -> None:
        super().__init__(f"{'.'.join(path)} {problem}")
        self.server, self.problem, self.path = server, problem, path


def _total(parts: _Parts) -> WindowCounts:
    try:
        total: WindowCounts = _models(parts)
    except _Disagreement as found:
        raise CountsError(found.server, str(found)) from None
    return total


def _values(parts: _Parts) -> Any:
    """The sum of what is later minus what is earlier, of anything that a window has."""
    counted = _counted(parts)
    if not counted.later:
        return None
    first = counted.later[0]
    if isinstance(first, ApiModel):
        return _models(counted)
    if isinstance(first, list):
        return _lists(counted)
    return _same(counted) if isinstance(first, str) else _numbers(counted)


def _counted(parts: _Parts) -> _Parts:
    """Without the servers that counted nothing here."""
    if not any(map(_IS_NONE, parts.later)) and not any(map(_IS_NONE, parts.earlier)):
        return parts
    rows = [*zip_longest(parts.servers, parts.later, parts.earlier)]
    if ceased := [server for server, later, earlier in rows if later is None and earlier is not None]:
        raise _Disagreement(ceased[0], "is not counted any more")
    return _parts(row for row in rows if row[1] is not None)


def _models(parts: _Parts) -> Any:
    """Field by field, so that a field which the contract gains is counted, too."""
    model: type[ApiModel] = type(parts.later[0])
    values: dict[str, Any] = {}
    for name in model.model_fields:
        field = parts.each(operator.attrgetter(name))
        try:
            values[name] = _sum(field) if name in SIGNED else _values(field)
        except _Disagreement as found:
            raise _Disagreement(found.server, found.problem, name, *found.path) from None
    return model(**values)


def _lists(parts: _Parts) -> list[Any]:
    size = len(parts.later[0])
    for lists in (parts.later, parts.earlier):
        if any(len(values) != size for values in lists):
            other = next(s for s, values in zip(parts.servers, lists, strict=False) if len(values) != size)
            raise _Disagreement(other, f"has not {size} parts, as elsewhere")
    if size and isinstance(parts.later[0][0], int):  # nearly all are, and this is the quick way
        return _bins(parts)
    return [_values(parts.each(operator.itemgetter(index))) for index in range(size)]


def _bins(parts: _Parts) -> list[int]:
    for server, later, earlier in zip(parts.servers, parts.later, parts.earlier, strict=False):
        if any(map(operator.lt, later, earlier)):
            raise _Disagreement(server, "went down within one epoch")
    totals = map(sum, zip(*parts.later, strict=True))
    begun = map(sum, zip(*parts.earlier, strict=True))
    return [*map(operator.sub, totals, begun)] if parts.earlier else [*totals]


def _numbers(parts: _Parts) -> Any:
    fallen = [*map(operator.lt, parts.later, parts.earlier)]
    if any(fallen):
        place = fallen.index(True)
        change = f"from {parts.earlier[place]} to {parts.later[place]}"
        raise _Disagreement(parts.servers[place], f"went down {change} within one epoch")
    return _sum(parts)


def _sum(parts: _Parts) -> Any:
    return sum(parts.later) - sum(parts.earlier)


def _same(parts: _Parts) -> str:
    """Names: they must agree."""
    first: str = parts.later[0]
    for names in (parts.later, parts.earlier):
        for server, name in zip(parts.servers, names, strict=False):
            if name != first:
                raise _Disagreement(server, f"is {name}, and elsewhere {first}")
    return first
