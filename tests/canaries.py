"""Rollouts by chance alone: two versions of known quality, traffic, and the judging that the operator does.

No cluster and no servers: requests are drawn, counted as servers count them, and judged whenever the operator would. What
is drawn follows from the seed. The benchmark `rollouts` makes the table of the guide with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from mainspring.api.splitting import SECONDS_BOUNDS, ArmCounts, StageCounts
from mainspring.api.v1alpha1.rollouts import Analysis, Judgement, MetricVerdict
from mainspring.plan.inferenceservice import analysis, stepping
from mainspring.plan.inferenceservice.analysis import Evidence, Labels

MEDIAN_SECONDS = 0.02
USUAL, NO_LABELS = Analysis(), Labels(0, 0)
MOST_REQUESTS = 400_000  # of both versions: then a rollout has come to no end


@dataclass(frozen=True)
class Version:
    """Shares of requests, but `slowness`, which multiplies all times, and `sigma`, of their logarithms."""

    errors: float = 0.005
    slowness: float = 1.0
    sigma: float = 0.3
    wrong: float = 0.1


@dataclass(frozen=True)
class Case:
    """`drift` adds to the errors of both versions, step by step. `lost` is the share of counts that never arrive."""

    title: str
    candidate: Version = Version()
    stable: Version = Version()
    asked: Analysis = USUAL
    steps: Sequence[int] = (5, 25, 50)
    drift: Sequence[float] = (0.0, 0.0, 0.0)
    labelled: float = 0.0
    compared: float = 0.0  # rows a request
    disagreed: float = 0.0  # of these
    lost: float = 0.0
    same_model: bool = False
    mirror: int = 0  # percent of the stable version's requests, at all steps


@dataclass(frozen=True)
class Ended:
    """How a rollout ended, by which metric, and after how many requests: of the candidate, and of both."""

    verdict: Judgement
    by: str
    candidate: int
    requests: int
    metrics: tuple[MetricVerdict, ...]


@dataclass
class Counted:
    """What the servers say, stage by stage, and the labels of both versions."""

    stages: dict[int, StageCounts] = field(default_factory=dict)
    candidate: Labels = NO_LABELS
    stable: Labels = NO_LABELS

    def evidence(self, labelled: bool) -> Evidence:
        labels = (self.stable, self.candidate) if labelled else (None, None)
        return Evidence([*self.stages.values()], *labels, {})


def bad_candidates() -> Iterator[Case]:
    yield Case("errors +2 points", candidate=Version(errors=0.025))
    yield Case("errors +2 points, 2 % of counts lost", candidate=Version(errors=0.025), lost=0.02)
    yield Case("latency +50 %, σ 0.3", candidate=Version(slowness=1.5))
    yield Case("latency +50 %, σ 0.6", candidate=Version(slowness=1.5, sigma=0.6), stable=Version(sigma=0.6))
    quality = Analysis(max_quality_drop=0.03)
    yield Case("quality −3 points, 30 % labelled", Version(wrong=0.13), asked=quality, labelled=0.3)
    yield Case("0.5 % of rows differ, same model", compared=1.0, disagreed=0.005, same_model=True, mirror=20)


def good_candidates() -> Iterator[Case]:
    yield Case("the same")
    yield Case("the same, errors rise to 5 % at the second step", drift=(0.0, 0.045, 0.0))
    yield Case("the same, errors fall from 5 % after the first step", drift=(0.045, 0.0, 0.0))
    yield Case("the same, 2 % of counts lost", lost=0.02)
    yield Case("the same, with labels", asked=Analysis(max_quality_drop=0.03), labelled=0.3)
    yield Case("the same model, copied, no row differs", compared=1.0, same_model=True, mirror=20)
    slow = Version(sigma=0.6)
    yield Case("the same, σ 0.6", candidate=slow, stable=slow)


def smaller_differences() -> Iterator[Case]:
    """Less than what is asked for, or next to it."""
    yield Case("errors +1 point", candidate=Version(errors=0.015))
    yield Case("latency +10 %, σ 0.3", candidate=Version(slowness=1.1))
    yield Case("latency +20 %, σ 0.3", candidate=Version(slowness=1.2))
    varied = Version(sigma=0.6)
    yield Case("latency +20 %, σ 0.6", candidate=replace(varied, slowness=1.2), stable=varied)
    yield Case("latency +25 %, σ 0.6", candidate=replace(varied, slowness=1.25), stable=varied)
    yield Case("every request fails", candidate=Version(errors=1.0))


def rollouts(case: Case, times: int, seed: int = 1, batch: int = 750) -> list[Ended]:
    """`batch` requests come between two judgements, 5 s at 150 requests/s."""
    return [rollout(case, np.random.default_rng([seed, number]), batch) for number in range(times)]


def rollout(case: Case, random: np.random.Generator, batch: int) -> Ended:
    """Up to a verdict: failed, or all metrics passed at the last step."""
    counted, metrics, step, requests = Counted(), (), 0, 0
    while requests < MOST_REQUESTS:
        draw(case, random, step, batch, counted)
        requests += batch
        metrics = analysis.judge(case.asked, counted.evidence(case.labelled > 0), metrics, case.same_model)
        verdict = analysis.overall(metrics)
        last = step == len(case.steps) - 1
        if verdict is Judgement.FAILED or (verdict is Judgement.PASSED and last):
            break
        if not last and analysis.share(metrics) >= stepping.part_needed(case.steps, step):
            step += 1
    by = next((metric.name for metric in metrics if metric.verdict is Judgement.FAILED), "")
    seen = sum(stage.candidate.requests for stage in counted.stages.values())
    return Ended(verdict, by, seen, requests, metrics)


def draw(case: Case, random: np.random.Generator, step: int, batch: int, counted: Counted) -> None:
    forwarded = int(random.binomial(batch, case.steps[step] / 100))
    copied = int(random.binomial(batch - forwarded, case.mirror / 100))
    more = case.drift[step]
    rows = int(copied * case.compared)
    arms = StageCounts(
        stage=step,
        stable=_arm(case.stable, more, batch - forwarded, case.lost, random),
        candidate=_arm(case.candidate, more, forwarded, case.lost, random),
        mirrored=_arm(case.candidate, more, copied, case.lost, random),
        compared=rows,
        disagreed=int(random.binomial(rows, case.disagreed)),
    )
    (counted.stages[step],) = analysis.add([counted.stages[step]] if step in counted.stages else [], [arms])
    if case.labelled:
        counted.candidate = _labels(counted.candidate, case.candidate, forwarded, case.labelled, random)
        counted.stable = _labels(counted.stable, case.stable, batch - forwarded, case.labelled, random)


def _arm(version: Version, more: float, requests: int, lost: float, random: np.random.Generator) -> ArmCounts:
    seen = int(random.binomial(requests, 1 - lost))
    times = random.multinomial(seen, _buckets(version))
    seconds = {int(bucket): int(times[bucket]) for bucket in np.flatnonzero(times)}
    return ArmCounts(requests=seen, errors=int(random.binomial(seen, version.errors + more)), seconds=seconds)


_KNOWN: dict[tuple[float, float], np.ndarray[tuple[int], np.dtype[np.float64]]] = {}


def _buckets(version: Version) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Shares of log-normal times by bucket, the last above all bounds."""
    key = (version.slowness, version.sigma)
    if key not in _KNOWN:
        spread = stats.lognorm(version.sigma, scale=MEDIAN_SECONDS * version.slowness)
        _KNOWN[key] = np.diff(spread.cdf([0.0, *SECONDS_BOUNDS, np.inf]))
    return _KNOWN[key]


def _labels(known: Labels, version: Version, requests: int, labelled: float, random: np.random.Generator) -> Labels:
    rows = int(random.binomial(requests, labelled))
    return replace(known, right=known.right + int(random.binomial(rows, 1 - version.wrong)), rows=known.rows + rows)
