"""A rollout as far as it has come, with what is known now: how many pods a share needs, who applies it, what is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from mainspring.api.splitting import Split
from mainspring.api.v1alpha1.rollouts import (
    Cause,
    Judgement,
    Phase,
    RolloutPolicy,
    RolloutStatus,
    SplitBy,
    Strategy,
)
from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import analysis, builders, evidence, exposure, situations, splits, target
from mainspring.plan.inferenceservice.observed import Failure, Revision
from mainspring.plan.inferenceservice.situations import Situation

APPLYING_SECONDS = 1.0  # in which a pod does what it was told
LOOK_SECONDS = 2.0  # between two looks, at least
LOOK_SECONDS_MAX = 15.0
LOOKS_A_STEP = 5
MIRROR_BESIDE = 20  # percent of the other requests, while steps go on, when answers have to be compared
JUDGED = frozenset(set(Phase) - {Phase.STARTING})


@dataclass(frozen=True)
class Course:
    """`state` is what `status.rollout` shall say."""

    situation: Situation
    policy: RolloutPolicy
    state: RolloutStatus

    def update(self, **fields: Any) -> Course:
        return replace(self, state=self.state.model_copy(update=fields))

    @property
    def now(self) -> str:
        return objects.format_time(self.situation.now)

    @property
    def stable(self) -> Revision:
        assert self.situation.stable is not None
        return self.situation.stable

    @property
    def failure(self) -> Failure | None:
        """Why the candidate's pods do not serve."""
        return self.situation.candidate.failure if self.situation.candidate else None

    @property
    def ready(self) -> int:
        """Pods of the candidate that answer."""
        return self.situation.candidate.ready if self.situation.candidate else 0

    def is_over(self, since: str | None, *durations: str) -> bool:
        """All of them, one after another."""
        length = sum(map(objects.parse_duration, durations), timedelta())
        return since is not None and self.situation.now >= objects.parse_time(since) + length

    @property
    def look_seconds(self) -> float:
        """From one judgement to the next, at least."""
        step = objects.parse_duration(self.policy.step_duration) / timedelta(seconds=LOOKS_A_STEP)
        return min(max(step, LOOK_SECONDS), LOOK_SECONDS_MAX)

    # ---- Evidence

    @cached_property
    def seen(self) -> analysis.Evidence:
        return evidence.gather(self.state, self.situation.observed.counts)

    @property
    def share_of_evidence(self) -> float:
        """The part of it that is there; where nobody counts there is none to wait for."""
        return analysis.share(self.state.metrics or ()) if self.state.split_by is SplitBy.SERVERS else 1.0

    @property
    def is_inconclusive(self) -> bool:
        """Its time is over, and there is not enough to judge by."""
        waits = self.state.phase in (Phase.MIRRORING, Phase.STEPPING)
        undecided = waits and self.state.verdict is Judgement.INCONCLUSIVE
        return undecided and self.is_over(self.state.judged_since, self.policy.max_duration)

    @property
    def missing(self) -> str:
        """What there is too little of."""
        judged = [metric for metric in self.state.metrics or () if analysis.is_judged(metric)]
        open_ = [metric for metric in judged if metric.verdict is Judgement.INCONCLUSIVE]
        told = [f"{m.requests or 0} of {m.needed} needed" if m.needed else m.message for m in open_]
        if not open_:
            return "everything passed so far" if judged else "nothing was counted"
        return "; ".join(f"{m.name}: {text}" for m, text in zip(open_, told, strict=True))

    # ---- Shares and pods

    @property
    def mirror_beside(self) -> int:
        """Copies while steps go on."""
        if self.state.split_by is not SplitBy.SERVERS:
            return 0
        return MIRROR_BESIDE if self.state.same_model or self.policy.analysis.max_disagreement is not None else 0

    @property
    def first_load(self) -> float:
        """Of all requests, what the candidate gets first."""
        return self.policy.steps[0] / 100 if self.policy.strategy is Strategy.CANARY else 1.0

    @property
    def load(self) -> float:
        """What it gets now, copies included."""
        return _load(self.state.weight, self.state.mirror)

    def load_of_step(self, step: int) -> float:
        return _load(self.policy.steps[step], self.mirror_beside)

    def pods(self, load: float) -> int:
        """As many as this load needs; where pods make the share, as many as come nearest to it."""
        size = self.situation.size
        if self.state.split_by is SplitBy.PODS and load < 1:
            return max(1, round(size * load / (1 - load)))
        return max(1, math.ceil(size * load))

    def has_pods(self, load: float) -> bool:
        """All that this load needs are ready."""
        candidate = self.situation.candidate
        return candidate is not None and candidate.serves(self.pods(load))

    # ---- The split

    @property
    def split(self) -> Split | None:
        """What the stable pods are told; None when it is not they who split."""
        if self.state.split_by is not SplitBy.SERVERS:
            return None
        state, policy, observed = self.state, self.policy, self.situation.observed
        judged, sticky = state.phase in JUDGED, policy.sticky_by
        return Split(
            revision=state.from_revision,
            rollout=evidence.rollout_id(state),
            stage=state.stage,
            host=splits.candidate_host(observed),
            port=builders.PORT,
            candidate_revision=state.revision,
            weight=state.weight,
            mirror=state.mirror,
            match={k.lower(): v for k, v in policy.match.headers.items()} if policy.match and judged else {},
            sticky_header=sticky.header.lower() if sticky and sticky.header else None,
            sticky_cookie=sticky.cookie if sticky else None,
            tolerance=policy.analysis.tolerance,
        )

    @property
    def waits_for(self) -> list[str]:
        """Stable pods that answer requests and do not apply the split yet."""
        said, split = self.situation.observed.counts.snapshots, self.split
        if split is None:
            return []
        wanted = splits.digest(split)
        ready = [p for p in self.stable.pods if objects.condition_is(p, "Ready") and not objects.is_deleting(p)]
        return [n for n in map(objects.name, ready) if n not in said or said[n].applied != wanted]


def begin(situation: Situation, policy: RolloutPolicy) -> Course:
    """The one that goes on, or a new one: also when something else is wanted now, or the stable revision is another."""
    found = situations.going_on(situation.observed)
    stable, version = situation.stable, situation.observed.version
    assert stable is not None
    assert version is not None
    if found is not None and (found.revision, found.from_revision) == (situation.wanted, stable.hash):
        return Course(situation, policy, found)
    new = RolloutStatus(
        version=objects.name(version),
        revision=situation.wanted,
        from_version=stable.version,
        from_revision=stable.hash,
        strategy=policy.strategy,
        cause=_cause(situation),
        split_by=split_by(situation),
        same_model=stable.version == objects.name(version),
        phase=Phase.STARTING,
        started_at=objects.format_time(situation.now),
    )
    return Course(situation, policy, new)


def split_by(situation: Situation) -> SplitBy:
    stable = situation.stable
    assert stable is not None
    if splits.can_split(stable) and not situation.observed.counts.unsuitable:
        return SplitBy.SERVERS
    return SplitBy.GATEWAY if exposure.splits(situation.observed) else SplitBy.PODS


def _cause(situation: Situation) -> Cause:
    observed = situation.observed
    if target.proven_version(situation.name, observed.spec, observed.model):
        return Cause.CANDIDATE
    return Cause.SPEC if situations.caused_by_spec(situation) else Cause.CHAMPION


def _load(weight: int, mirror: int) -> float:
    return (weight + mirror * (100 - weight) / 100) / 100
