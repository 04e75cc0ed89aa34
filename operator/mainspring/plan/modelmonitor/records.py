"""What is remembered of windows that are over, for people who ask later: one ConfigMap, which no decision reads.

Two documents: a line of JSON for each of the last windows, and the last judged window itself beside what it was compared
with. Bounded by windows, by features of a window, and by bytes. A window is added without reading the others.

Invariant: windows follow one another, so a window is known by its start. One that ends a second time, because the
operator was killed before it had written everything, takes its own place.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, ValidationError

from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.api.v1alpha1.modelmonitor import PerformanceStatus
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor.evaluation import Evaluation
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics import drift
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.drift import FeatureDrift
from mainspring.plan.statistics.quality import Finding

WINDOWS_KEY = "windows.jsonl"
LAST_KEY = "last.json"
WINDOWS_MAX = 200
FEATURES_MAX = 24  # of a window: those that moved most
CALM_FEATURES_MAX = 5  # of these, as far as they are far below their thresholds
CALM = 0.5  # of the threshold
MAX_BYTES = 300_000
THOUSAND = 1000

Move = tuple[int, int, bool]
"""Of a feature in a window: PSI and threshold in thousandths, and whether it drifts."""


class Record(ApiModel):
    """One window. `performance` is that of the season which ends with it; the estimate is of the window alone.

    `moves` are by feature; the prediction is `drift.PREDICTION`. A feature that is not named was as in the reference, or
    not among those that moved most.
    """

    start: str  # stands first in a line
    end: str
    number: int
    version: str
    rows: int
    labels: int = 0
    judged: bool = True
    inputs_degraded: bool = False
    performance: PerformanceStatus | None = None
    moves: dict[str, Move] = Field(default_factory=dict)


class Defect(ApiModel):
    """What was wrong with values of a column, as `quality.Check` names it. Shares are of rows."""

    column: str
    check: str
    share: float
    reference: float
    allowed: float
    degraded: bool = False


class Last(ApiModel):
    """The last judged window with what it was compared with, both of the same features; and what was wrong with values."""

    number: int
    start: str
    end: str
    version: str
    counts: WindowCounts
    expected: Reference
    defects: list[Defect] = Field(default_factory=list)


def read(config_map: Object | None) -> list[Record]:
    """The oldest first. What cannot be understood is left out."""
    found = (_record_of(line) for line in _text(config_map, WINDOWS_KEY).splitlines())
    return [record for record in found if record is not None]


def _record_of(line: str) -> Record | None:
    try:
        return Record.model_validate_json(line)
    except ValidationError:
        return None


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
    before = [line for line in _text(config_map, WINDOWS_KEY).splitlines() if line < _begins(closed.start)]
    lines = [*before[-(WINDOWS_MAX - 1) :], _json(_record(closed, version, result))]
    history = "".join(f"{line}\n" for line in _newest(lines, MAX_BYTES - len(last.encode())))
    return {WINDOWS_KEY: history, **({LAST_KEY: last} if last else {})}


def _begins(start: str) -> str:
    """A line sorts by its time: nothing before it differs from line to line."""
    return f'{{"start":"{start}'


def _newest(lines: list[str], limit: int) -> Iterable[str]:
    """As many of the last lines as there is room for."""
    size = 0
    for place in range(len(lines) - 1, -1, -1):
        size += len(lines[place].encode()) + 1
        if size > limit:
            return lines[place + 1 :]
    return lines


def _record(closed: Closed, version: str, result: Evaluation) -> Record:
    inputs = any(c.type == "QualityDegraded" and c.status == "True" for c in result.conditions)
    return Record(
        start=closed.start,
        end=closed.end,
        number=closed.number,
        version=version,
        rows=closed.counts.rows,
        labels=closed.counts.feedback.rows if closed.counts.feedback else 0,
        judged=closed.enough,
        inputs_degraded=closed.enough and inputs,
        performance=result.performance,
        moves=_moves(_worst(result)) if closed.enough else {},
    )


def _moves(worst: list[FeatureDrift]) -> dict[str, Move]:
    near = [v for place, v in enumerate(worst) if place < CALM_FEATURES_MAX or v.psi > CALM * v.threshold]
    return {verdict.name: _move(verdict) for verdict in near}


def _move(verdict: FeatureDrift) -> Move:
    return round(verdict.psi * THOUSAND), round(verdict.threshold * THOUSAND), verdict.drifted


def _worst(result: Evaluation) -> list[FeatureDrift]:
    return drift.worst([verdict for verdict in result.moved if verdict.degrees], FEATURES_MAX)


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
        defects=[_defect(finding) for finding in _wrong(result.findings)],
    )


def _wrong(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; checks that found nothing are left out."""
    found = [finding for finding in findings if finding.share > 0]
    return sorted(found, key=lambda f: (not f.degraded, f.allowed - f.least, f.column))[:FEATURES_MAX]


def _defect(finding: Finding) -> Defect:
    return Defect(
        column=finding.column,
        check=finding.check.value,
        share=round(finding.share, 5),
        reference=round(finding.reference, 5),
        allowed=finding.allowed,
        degraded=finding.degraded,
    )


def _json(document: ApiModel) -> str:
    """In one line; equal documents give equal bytes."""
    return document.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
