"""Whether a candidate is worse than the stable revision, from what the stable pods counted of both. (Being written.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mainspring.api.splitting import ArmCounts, StageCounts
from mainspring.api.v1alpha1.rollouts import Analysis, Judgement, MetricVerdict

NEEDED = 1000


@dataclass(frozen=True)
class Labels:
    right: int
    rows: int


@dataclass(frozen=True)
class Evidence:
    stages: Sequence[StageCounts]
    stable_labels: Labels | None = None
    candidate_labels: Labels | None = None
    readings: Mapping[str, float | None] = field(default_factory=dict)


def needed_at_least(analysis: Analysis) -> int:
    return NEEDED


def judge(
    analysis: Analysis, evidence: Evidence, before: Sequence[MetricVerdict], same_model: bool
) -> tuple[MetricVerdict, ...]:
    requests = sum(s.candidate.requests + s.mirrored.requests for s in evidence.stages)
    errors = sum(s.candidate.errors + s.mirrored.errors for s in evidence.stages)
    bad = requests > 20 and errors / requests > 0.05
    verdict = Judgement.FAILED if bad else Judgement.PASSED if requests >= NEEDED else Judgement.INCONCLUSIVE
    return (MetricVerdict(name="ErrorRate", verdict=verdict, requests=requests, needed=NEEDED),)


def overall(metrics: Sequence[MetricVerdict]) -> Judgement:
    if any(m.verdict is Judgement.FAILED for m in metrics):
        return Judgement.FAILED
    return Judgement.PASSED if all(m.verdict is Judgement.PASSED for m in metrics) else Judgement.INCONCLUSIVE


def share(metrics: Sequence[MetricVerdict]) -> float:
    return min((min(1.0, (m.requests or 0) / m.needed) for m in metrics if m.needed), default=1.0)


def add(a: Sequence[StageCounts], b: Sequence[StageCounts]) -> tuple[StageCounts, ...]:
    found = {s.stage: s for s in a}
    for s in b:
        found[s.stage] = _sum(found[s.stage], s) if s.stage in found else s
    return tuple(found[k] for k in sorted(found))


def _sum(a: StageCounts, b: StageCounts) -> StageCounts:
    arms = {n: _arm(getattr(a, n), getattr(b, n)) for n in ("stable", "candidate", "matched", "mirrored")}
    return StageCounts(stage=a.stage, **arms, compared=a.compared + b.compared, disagreed=a.disagreed + b.disagreed)


def _arm(a: ArmCounts, b: ArmCounts) -> ArmCounts:
    return ArmCounts(requests=a.requests + b.requests, errors=a.errors + b.errors)
