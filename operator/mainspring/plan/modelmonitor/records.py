"""What is remembered of windows that are over, for people who ask later: one ConfigMap, which no decision reads.

Two documents: a line for each of the last windows, and the last judged window itself beside what it was compared with.
Bounded by windows, by features of a window, and by bytes.

Invariant: windows follow one another, so a window is known by its start. One that ends a second time, because the
operator was killed before it had written everything, takes its own place.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, ValidationError

from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.api.v1alpha1.modelmonitor import PerformanceStatus
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor.evaluation import Evaluation
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics import drift
from mainspring.plan.statistics.counts import WindowCounts

WINDOWS_KEY = "windows.json"
LAST_KEY = "last.json"
WINDOWS_MAX = 200
FEATURES_MAX = 40  # of a window: those that moved most
MAX_BYTES = 300_000
THOUSAND = 1000
DROPPED_AT_ONCE = 10  # windows, when there is too much

Move = tuple[int, int, int, bool]
"""Of a feature in a window: its place in `History.features`, PSI and threshold in thousandths, and whether it drifts."""


class Record(ApiModel):
    """One window. `performance` is that of the season which ends with it; the estimate is of the window alone."""

    number: int
    start: str
    end: str
    version: str
    rows: int
    labels: int = 0
    judged: bool = True
    moves: list[Move] = Field(default_factory=list)
    inputs_degraded: bool = False
    performance: PerformanceStatus | None = None


class History(ApiModel):
    """`features` are names; the prediction is `drift.PREDICTION`."""

    features: list[str] = Field(default_factory=list)
    windows: list[Record] = Field(default_factory=list)


class Last(ApiModel):
    """The last judged window with what it was compared with, both of the same features."""

    number: int
    start: str
    end: str
    version: str
    counts: WindowCounts
    expected: Reference


def read(config_map: Object | None) -> History:
    """An empty one when there is none, or none that can be understood."""
    text = _text(config_map, WINDOWS_KEY)
    try:
        return History.model_validate_json(text) if text else History()
    except ValidationError:
        return History()


def read_last(config_map: Object | None) -> Last | None:
    text = _text(config_map, LAST_KEY)
    try:
        return Last.model_validate_json(text) if text else None
    except ValidationError:
        return None


def _text(config_map: Object | None, key: str) -> str:
    return str(((config_map or {}).get("data") or {}).get(key) or "")


def with_window(config_map: Object | None, closed: Closed, version: str, result: Evaluation) -> dict[str, str]:
    """The data of the ConfigMap after this window. A window that was not judged leaves the last judged one in place."""
    last = _json(_last(closed, version, result)) if closed.enough else _text(config_map, LAST_KEY)
    if len(last.encode()) > MAX_BYTES // 2:
        last = ""  # the history is worth more
    history = _fitting(_added(read(config_map), closed, version, result), MAX_BYTES - len(last.encode()))
    return {WINDOWS_KEY: history, **({LAST_KEY: last} if last else {})}


def _added(before: History, closed: Closed, version: str, result: Evaluation) -> History:
    kept = [record for record in before.windows if record.start < closed.start][-(WINDOWS_MAX - 1) :]
    features = list(before.features)
    places = {name: place for place, name in enumerate(features)}
    for verdict in _worst(result):
        if verdict.name not in places:
            places[verdict.name] = len(features)
            features.append(verdict.name)
    return _without_unused(features, [*kept, _record(closed, version, result, places)])


def _worst(result: Evaluation) -> list[drift.FeatureDrift]:
    return drift.worst([verdict for verdict in result.moved if verdict.degrees], FEATURES_MAX)


def _record(closed: Closed, version: str, result: Evaluation, places: dict[str, int]) -> Record:
    worst = _worst(result) if closed.enough else []
    inputs = any(c.type == "QualityDegraded" and c.status == "True" for c in result.conditions)
    return Record(
        number=closed.number,
        start=closed.start,
        end=closed.end,
        version=version,
        rows=closed.counts.rows,
        labels=closed.counts.feedback.rows if closed.counts.feedback else 0,
        judged=closed.enough,
        moves=[(places[v.name], round(v.psi * THOUSAND), round(v.threshold * THOUSAND), v.drifted) for v in worst],
        inputs_degraded=closed.enough and inputs,
        performance=result.performance,
    )


def _without_unused(features: Sequence[str], windows: list[Record]) -> History:
    """Names that no window has any more go, and places move up."""
    used = sorted({place for record in windows for place, *_ in record.moves if place < len(features)})
    if len(used) == len(features):
        return History(features=[*features], windows=windows)
    now = {before: place for place, before in enumerate(used)}
    moved = [record.model_copy(update={"moves": _replaced(record.moves, now)}) for record in windows]
    return History(features=[features[place] for place in used], windows=moved)


def _replaced(moves: list[Move], now: dict[int, int]) -> list[Move]:
    return [(now[place], psi, threshold, drifts) for place, psi, threshold, drifts in moves if place in now]


def _fitting(history: History, limit: int) -> str:
    """Without the oldest windows when there is not room for all."""
    text = _json(history)
    while len(text.encode()) > limit and len(history.windows) > 1:
        newer = history.windows[min(DROPPED_AT_ONCE, len(history.windows) - 1) :]
        history = _without_unused(history.features, newer)
        text = _json(history)
    return text


def _last(closed: Closed, version: str, result: Evaluation) -> Last:
    names = {verdict.name for verdict in _worst(result)}
    shown = [c for c in result.expected.columns if c.name in names] or result.expected.columns[:FEATURES_MAX]
    named = {column.name for column in shown}
    counted = [column for column in closed.counts.columns if column.name in named]
    return Last(
        number=closed.number,
        start=closed.start,
        end=closed.end,
        version=version,
        counts=closed.counts.model_copy(update={"columns": counted}),
        expected=result.expected.model_copy(update={"columns": shown}),
    )


def _json(document: ApiModel) -> str:
    """Equal documents give equal bytes."""
    return document.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
