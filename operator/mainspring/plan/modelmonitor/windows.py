"""One reading more: what the servers counted since the last one enters the open window, which may close with it.

A window closes when it is long enough and has rows enough, at the latest after `maximumLength`. One that closes with
too few rows is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from mainspring.api.monitoring import Snapshot
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.modelmonitor.observed import Reading
from mainspring.plan.modelmonitor.state import State
from mainspring.plan.statistics import counts
from mainspring.plan.statistics.counts import WindowCounts


@dataclass(frozen=True)
class Closed:
    """A window that is over. `enough`: it has the rows to be judged."""

    number: int
    start: str
    end: str
    counts: WindowCounts
    enough: bool


@dataclass(frozen=True)
class Read:
    """The state after a reading. `keep`: it must be written, or what a server said is lost."""

    state: State
    keep: bool
    closed: Closed | None = None
    contradicted: tuple[str, ...] = ()  # servers whose counts cannot be true, with why


def begin(
    version: str, digest: str, reading: Reading, before: State | None, spec: ModelMonitorSpec, now: datetime
) -> State:
    """Watching a version begins: what its servers counted before is of an unknown time."""
    return State(
        version=version,
        digest=digest,
        opened=objects.format_time(now),
        begun="" if before and before.version != version else objects.format_time(now),
        number=before.number if before else 0,
        lost=before.lost if before else 0,
        follows=before is not None and (before.follows or before.version != version),
        seen=_of(digest, reading.snapshots, spec.drift.exclude or ()),
    )


def advance(state: State, reading: Reading, spec: ModelMonitorSpec, now: datetime) -> Read:
    """Everything that is counted in other bins than the state's is left out; the next version begins anew."""
    answers = _of(state.digest, {**reading.gone, **reading.snapshots}, spec.drift.exclude or ())
    part, wrong = _counted({**_begun_before(state, answers), **state.seen}, answers)
    total = _together(state.counts, part)
    seen = {name: found for name, found in (state.seen | answers).items() if name not in reading.gone}
    lost = state.lost + _lost(state, total, reading, spec, now)
    current = state.model_copy(update={"seen": seen, "counts": total, "lost": lost})
    if (closed := _close(current, spec, now)) is None:
        changed = seen.keys() != state.seen.keys() or bool(wrong)
        return Read(current if changed else state, changed, contradicted=wrong)
    opened = current.model_copy(update={"counts": None, "opened": closed.end, "number": closed.number})
    return Read(opened, True, closed, wrong)


def _begun_before(state: State, answers: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """Servers that are older than the watching and were not read when it began: what they have counted is not new."""
    return {
        name: found
        for name, found in answers.items()
        if state.begun and found.started and objects.parse_time(found.started) < objects.parse_time(state.begun)
    }


def _of(digest: str, snapshots: Mapping[str, Snapshot], exclude: Collection[str]) -> dict[str, Snapshot]:
    """Without the features that are not to be looked at: they would only take room in the memory."""
    return {name: _without(found, exclude) for name, found in snapshots.items() if found.digest == digest}


def _without(snapshot: Snapshot, exclude: Collection[str]) -> Snapshot:
    if not exclude:
        return snapshot
    kept = [column for column in snapshot.columns if column.name not in exclude]
    return snapshot.model_copy(update={"columns": kept})


def _lost(state: State, total: WindowCounts | None, reading: Reading, spec: ModelMonitorSpec, now: datetime) -> int:
    """What servers that went without a last word may have counted after they were read, at the usual rate."""
    silent = [name for name in reading.gone if name in state.seen and not reading.gone[name].final]
    age = (now - objects.parse_time(state.opened)).total_seconds()
    if not silent or total is None or age <= 0:
        return 0
    rate = total.rows / age / max(len(state.seen), 1)
    return math.ceil(rate * objects.parse_duration(spec.interval).total_seconds() * len(silent))


def _counted(
    seen: Mapping[str, Snapshot], answers: Mapping[str, Snapshot]
) -> tuple[WindowCounts | None, tuple[str, ...]]:
    """What was counted since, by all servers whose counts can be true; the others count from here on."""
    wrong: list[str] = []
    left = dict(answers)
    while True:
        try:
            return counts.counted_since(seen, left), tuple(wrong)
        except counts.CountsError as error:
            wrong.append(str(error))
            del left[error.server]


def _together(first: WindowCounts | None, second: WindowCounts | None) -> WindowCounts | None:
    if first is None or second is None:
        return first or second
    return counts.added(first, second)


def _close(state: State, spec: ModelMonitorSpec, now: datetime) -> Closed | None:
    window = spec.window
    age = now - objects.parse_time(state.opened)
    rows = state.counts.rows if state.counts else 0
    enough = rows >= window.minimum_rows
    if age < objects.parse_duration(window.length if enough else window.maximum_length) or state.counts is None:
        return None
    end = objects.format_time(now)
    return Closed(state.number + 1, state.opened, end, state.counts, enough)
