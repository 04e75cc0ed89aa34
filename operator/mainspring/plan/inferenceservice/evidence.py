"""What all processes of the stable revision counted since the rollout began.

Counts of a process that is gone are added to `status.rollout.counted` once: its epoch goes to `countedOf` with the same
write, so neither a crash nor a second look counts it twice. What an operator that was killed had not read of a pod that
went meanwhile is lost, for both revisions alike, which biases nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mainspring.api.splitting import SplitSnapshot, StageCounts
from mainspring.api.v1alpha1.rollouts import CARRIED_MAX, LABELLED_MAX, RolloutStatus
from mainspring.plan.inferenceservice import analysis
from mainspring.plan.inferenceservice.analysis import Evidence, Labels
from mainspring.plan.inferenceservice.observed import Counts


def rollout_id(state: RolloutStatus) -> str:
    """Which counts belong to it: the same revision may be rolled out again."""
    return f"{state.revision}-{state.started_at}"


def keep(state: RolloutStatus, counts: Counts) -> RolloutStatus:
    """The state with what processes that are gone had counted."""
    known = state.counted_of or []
    new = [said for said in counts.gone if said.rollout == rollout_id(state) and said.epoch not in known]
    # No more at once than are remembered: who reads them forgets those whose epochs stand there, and tells the rest again.
    gone = new[:CARRIED_MAX]
    if not gone:
        return state
    stages = _sum(_kept(state), gone)
    text = json.dumps([stage.to_dict() for stage in stages], separators=(",", ":"))
    epochs = [*known, *(said.epoch for said in gone)][-CARRIED_MAX:]
    return state.model_copy(update={"counted": text, "counted_of": epochs})


def remember_labels(state: RolloutStatus, counts: Counts) -> RolloutStatus:
    """Servers count labels since they started: what there was before the rollout does not count.

    By process: one that goes, or does not answer for a moment, takes away what it had and what had been before alike.
    """
    known = _labels_from(state)
    new = {epoch: [now.right, now.rows] for epoch, now in counts.stable_labels.items() if epoch not in known}
    if not new or len(known) >= LABELLED_MAX:
        return state
    every = dict([*known.items(), *new.items()][:LABELLED_MAX])
    return state.model_copy(update={"labels_from": json.dumps(every, separators=(",", ":"))})


def _labels_from(state: RolloutStatus) -> dict[str, list[int]]:
    """Right and all, by process."""
    return dict(json.loads(state.labels_from or "{}"))


def _labels_since(state: RolloutStatus, counts: Counts) -> Labels | None:
    """None while there is none."""
    before = _labels_from(state)
    both = [(now, before[epoch]) for epoch, now in counts.stable_labels.items() if epoch in before]
    rows = sum(now.rows - rows for now, (_, rows) in both)
    return Labels(sum(now.right - right for now, (right, _) in both), rows) if rows > 0 else None


def gather(state: RolloutStatus, counts: Counts) -> Evidence:
    """`state` is one that `keep` made."""
    known = state.counted_of or []
    live = [s for s in counts.snapshots.values() if s.rollout == rollout_id(state) and s.epoch not in known]
    return Evidence(_sum(_kept(state), live), _labels_since(state, counts), counts.candidate_labels, counts.readings)


def requests_per_second(evidence: Evidence, seconds: float) -> float:
    """All that the service was asked since the rollout began."""
    total = sum(s.stable.requests + s.candidate.requests + s.matched.requests for s in evidence.stages)
    return total / seconds if seconds > 0 else 0.0


def _kept(state: RolloutStatus) -> tuple[StageCounts, ...]:
    return tuple(StageCounts.model_validate(stage) for stage in json.loads(state.counted or "[]"))


def _sum(stages: Sequence[StageCounts], said: Iterable[SplitSnapshot]) -> tuple[StageCounts, ...]:
    total = tuple(stages)
    for snapshot in said:
        total = analysis.add(total, snapshot.stages)
    return total
