"""What a window is compared with: the reference rows of the version, or a season that was found to be well.

A version that was trained after a change has learned from rows of before and after it: against these, what is normal now
would look different for ever. So after a promotion the first full season whose measured quality passed takes the place
of the reference rows, once. It must be measured: a season that merely went by proves nothing.

With `baseline: SamePhase` a window is compared with the part of that season which lies at the same place in it: a
morning with that morning. Then the first season is needed after every start, and without measured quality any will do.
"""

from __future__ import annotations

from datetime import datetime

from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.modelmonitor import Baseline, BaselineStatus, ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor.state import Part, State
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics import counts
from mainspring.plan.statistics.performance import Performance, Verdict


def settled(spec: ModelMonitorSpec, state: State, full_season: list[Part], measured: Performance | None) -> list[Part]:
    """The season to compare with from now on; empty for none. `full_season` is empty while there is none."""
    if state.baseline or not full_season:
        return state.baseline
    passed = measured is not None and measured.verdict is Verdict.MET
    if spec.drift.baseline is Baseline.SAME_PHASE:
        return full_season if passed or measured is None else []
    if not state.follows or not passed:
        return []
    return [Part(start=full_season[0].start, end=full_season[-1].end, counts=states.together(full_season))]


def is_learning(spec: ModelMonitorSpec, state: State) -> bool:
    """There is nothing yet to compare with."""
    return spec.drift.baseline is Baseline.SAME_PHASE and not state.baseline


def for_season(spec: ModelMonitorSpec, state: State, reference: Reference) -> Reference:
    """What a whole season is compared with."""
    return counts.rebased(reference, states.together(state.baseline)) if _counts(spec, state) else reference


def for_window(spec: ModelMonitorSpec, state: State, closed: Closed, reference: Reference) -> Reference:
    """What this window is compared with."""
    if not _counts(spec, state):
        return reference
    parts = state.baseline
    if spec.drift.baseline is Baseline.SAME_PHASE:
        season = objects.parse_duration(spec.season).total_seconds()
        parts = same_phase(parts, objects.parse_time(closed.start), objects.parse_time(closed.end), season)
    return counts.rebased(reference, states.together(parts))


def described(spec: ModelMonitorSpec, state: State) -> BaselineStatus | None:
    if not _counts(spec, state):
        return None
    rows = sum(part.counts.rows for part in state.baseline)
    return BaselineStatus(start=state.baseline[0].start, end=state.baseline[-1].end, rows=rows)


def _counts(spec: ModelMonitorSpec, state: State) -> bool:
    """A season that was learned for SamePhase is of no use to Training before a promotion."""
    return bool(state.baseline) and (state.follows or spec.drift.baseline is Baseline.SAME_PHASE)


def same_phase(season: list[Part], start: datetime, end: datetime, season_seconds: float) -> list[Part]:
    """The parts of a season that a later time would overlap, were it moved back by whole seasons."""
    origin = objects.parse_time(season[0].start)
    first = (start - origin).total_seconds() % season_seconds
    last = first + (end - start).total_seconds()
    return [part for part in season if _overlaps(part, origin, first, last, season_seconds)] or season


def _overlaps(part: Part, origin: datetime, first: float, last: float, season_seconds: float) -> bool:
    """A time that begins late in one season reaches into the next, and a season is a little longer than its length."""
    begin = (objects.parse_time(part.start) - origin).total_seconds()
    stop = (objects.parse_time(part.end) - origin).total_seconds()
    return any(begin + shift < last and first < stop + shift for shift in (-season_seconds, 0.0, season_seconds))
