"""What the counts of a rollout say of the candidate: one verdict a metric, over the whole rollout so far.

Everything that is known of earlier looks is in the verdicts of last time, which stand in status: judging again after a
restart, or without new counts, changes nothing. A metric without a limit is told and not judged. Called by the state
machine of rollouts.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

from mainspring.api.splitting import ArmCounts, StageCounts
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.api.v1alpha1.rollouts import DISAGREEMENT, Analysis, Judgement, MetricVerdict, Query
from mainspring.plan.statistics import sequential
from mainspring.plan.statistics.bins import percent
from mainspring.plan.statistics.sequential import Stratum

ALPHA = 0.008  # of candidates that are no worse, those that fail, over all metrics and looks
SLOWEST = 0.05  # share of the stable revision's requests that is slow by definition
STRIKES = 2  # of a query, one after the other
DEFAULT_SHARE = 0.25  # of requests that the candidate has, while nothing was counted
ALWAYS_AGREED = 0.9999  # a limit above it could not be exceeded

ERROR_RATE = "ErrorRate"
SLOW_SHARE = "SlowShare"
QUALITY_DROP = "QualityDrop"
AGREEMENT = "Disagreement"

Counts = TypeVar("Counts", bound=ApiModel)


@dataclass(frozen=True)
class Labels:
    """Of one version: how many predictions were right, of how many whose labels are known."""

    right: int
    rows: int


@dataclass(frozen=True)
class Evidence:
    """`stages` are summed over pods. `readings` are by the name of the query: None without data; a query that was not
    asked this time is absent."""

    stages: Sequence[StageCounts]
    stable_labels: Labels | None = None
    candidate_labels: Labels | None = None
    readings: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Known:
    """Of a metric's stable rate before anything was counted: a rate, and how many requests that knowledge is worth."""

    rate: float
    requests: int


@dataclass(frozen=True)
class _Compared:
    """A metric of both arms. `limit` is the increase to detect; `words` say what is counted, and what bad ones were."""

    name: str
    limit: float
    known: _Known
    words: tuple[str, str]


MARGIN = 1  # buckets
KNOWN_ERRORS = _Known(0.005, 200)
KNOWN_SLOW = _Known(SLOWEST, 100)
KNOWN_WRONG = _Known(0.1, 20)


def judge(
    analysis: Analysis, evidence: Evidence, before: Sequence[MetricVerdict], same_model: bool
) -> tuple[MetricVerdict, ...]:
    """The verdicts of now, from those of last time. `same_model`: only the image or settings differ."""
    earlier = {metric.name: metric for metric in before}
    alpha = ALPHA / tests(analysis, same_model)
    strata = _strata(evidence)
    compared = (_compared(c, strata[c.name], alpha, earlier.get(c.name)) for c in _comparisons(analysis))
    asked = (_asked(query, evidence.readings, earlier.get(query.name)) for query in analysis.queries or ())
    limit = _agreement_limit(analysis, same_model)
    agreed = _agreement(evidence.stages, limit, alpha, earlier.get(AGREEMENT))
    return (*compared, *([agreed] if agreed else ()), *asked)


def overall(metrics: Sequence[MetricVerdict]) -> Judgement:
    """Failed if one failed, Passed if all passed."""
    verdicts = {metric.verdict for metric in metrics if is_judged(metric)}
    if Judgement.FAILED in verdicts:
        return Judgement.FAILED
    return Judgement.PASSED if verdicts == {Judgement.PASSED} else Judgement.INCONCLUSIVE


def share(metrics: Sequence[MetricVerdict]) -> float:
    """Of the evidence that is needed, how much there is: 0 to 1, of the metric that has least."""
    return min((_progress(m) for m in metrics if is_judged(m) and m.needed), default=0.0)


def is_judged(metric: MetricVerdict) -> bool:
    return metric.limit is not None


def add(a: Sequence[StageCounts], b: Sequence[StageCounts]) -> tuple[StageCounts, ...]:
    """Sums, stage by stage, in the order of stages."""
    total: dict[int, StageCounts] = {}
    for counts in (*a, *b):
        total[counts.stage] = _sum(total[counts.stage], counts) if counts.stage in total else counts
    return tuple(total[stage] for stage in sorted(total))


def _sum(a: Counts, b: Counts) -> Counts:
    """Field by field, so that a field which the contract gains is counted, too."""
    names = [name for name in type(a).model_fields if name != "stage"]
    return a.model_copy(update={name: _added(getattr(a, name), getattr(b, name)) for name in names})


def _added(a: Any, b: Any) -> Any:
    if isinstance(a, ApiModel):
        return _sum(a, b)
    return {key: a.get(key, 0) + b.get(key, 0) for key in (*a, *b)} if isinstance(a, dict) else a + b


def needed_at_least(analysis: Analysis, candidate_share: float = DEFAULT_SHARE, same_model: bool = False) -> int:
    """How many requests of the candidate it takes at least, before anything was counted.

    Labels and compared rows are not in it: nobody knows how many come with a request.
    """
    alpha = ALPHA / tests(analysis, same_model)
    return max(
        sequential.needed(c.known.rate, c.limit, candidate_share, alpha)
        for c in _comparisons(analysis)
        if c.name != QUALITY_DROP
    )


def tests(analysis: Analysis, same_model: bool) -> int:
    """How many metrics share alpha. Queries have bounds and no test."""
    return len(_comparisons(analysis)) + (_agreement_limit(analysis, same_model) is not None)


def _comparisons(analysis: Analysis) -> list[_Compared]:
    slower = "were slower than the stable version's 95th percentile"
    made = [
        _Compared(ERROR_RATE, analysis.max_error_rate_increase, KNOWN_ERRORS, ("requests", "failed")),
        _Compared(SLOW_SHARE, analysis.max_slow_share_increase, KNOWN_SLOW, ("requests", slower)),
    ]
    if (drop := analysis.max_quality_drop) is not None:
        made.append(_Compared(QUALITY_DROP, drop, KNOWN_WRONG, ("predictions with labels", "were wrong")))
    return made


def _strata(evidence: Evidence) -> dict[str, Sequence[Stratum]]:
    drawn = any(counts.candidate.requests or counts.mirrored.requests for counts in evidence.stages)
    arms = [(_candidate(counts, drawn), counts.stable) for counts in evidence.stages]
    return {
        ERROR_RATE: [Stratum(c.requests, c.errors, s.requests, s.errors) for c, s in arms],
        SLOW_SHARE: [_slow(candidate, stable) for candidate, stable in arms],
        QUALITY_DROP: _wrong(evidence.candidate_labels, evidence.stable_labels),
    }


def _candidate(counts: StageCounts, drawn: bool) -> ArmCounts:
    """Who is matched is not like the others, so those requests count only where no others were drawn."""
    copied = _sum(counts.candidate, counts.mirrored)
    return copied if drawn else counts.matched


def _slow(candidate: ArmCounts, stable: ArmCounts) -> Stratum:
    """Slow is what is above the bucket after that in which the stable arm's share first reaches 95 %.

    One bucket more, which is a tenth: where times hardly vary, a candidate that is a twentieth slower would lie wholly
    above the bound, and one that gets fewer requests is that, with colder caches.

    The bound comes from the same requests that it is applied to; the test allows for it: how many candidates lie above
    the stable arm's k-th largest has the tail of the hypergeometric number that is asked (a test of placements).
    """
    bound = _bound(stable.seconds) + MARGIN
    counted = [(sum(arm.seconds.values()), _above(arm.seconds, bound)) for arm in (candidate, stable)]
    return Stratum(*counted[0], *counted[1])


def _bound(seconds: Mapping[int, int]) -> int:
    """0 for an empty arm, whose stratum says nothing."""
    buckets = sorted(seconds)
    below = [*accumulate(seconds[bucket] for bucket in buckets)]
    return buckets[bisect_left(below, (1 - SLOWEST) * below[-1])] if below else 0


def _above(seconds: Mapping[int, int], bound: int) -> int:
    return sum(count for bucket, count in seconds.items() if bucket > bound)


def _wrong(candidate: Labels | None, stable: Labels | None) -> list[Stratum]:
    if candidate is None or stable is None:
        return []
    return [Stratum(candidate.rows, candidate.rows - candidate.right, stable.rows, stable.rows - stable.right)]


def _compared(asked: _Compared, strata: Sequence[Stratum], alpha: float, before: MetricVerdict | None) -> MetricVerdict:
    if before is not None and before.verdict is Judgement.FAILED:
        return before
    telling = [stratum for stratum in strata if stratum.weight]
    requests = sum(stratum.candidate for stratum in telling)
    found = sequential.rates(telling)
    needed = _needed(asked, telling, alpha)
    looks = _looks(requests / needed, before)
    part = alpha * _to_spend(looks, before)
    worse = found is not None and found.increase >= sequential.RELEVANT * asked.limit
    verdict = _verdict(worse and sequential.tail(telling) <= part, requests >= needed, before)
    return MetricVerdict(
        name=asked.name,
        verdict=verdict,
        stable=_rounded(found.stable if found else None),
        candidate=_rounded(found.candidate if found else None),
        limit=asked.limit,
        requests=requests,
        needed=needed,
        looks=looks,
        message=_told(asked, telling, needed, verdict),
    )


def _needed(asked: _Compared, telling: Sequence[Stratum], alpha: float) -> int:
    """By the stable arm's rate so far, and by the share of requests that the candidate had on average."""
    found = sequential.rates(telling)
    if found is None:
        return sequential.needed(asked.known.rate, asked.limit, DEFAULT_SHARE, alpha)
    stable = sum(stratum.stable for stratum in telling)
    rate = (found.stable * stable + asked.known.rate * asked.known.requests) / (stable + asked.known.requests)
    others = sequential.weight(telling) / sum(stratum.candidate for stratum in telling)
    # In steps, so that what is computed once is found again, and the number does not move with every request.
    return sequential.needed(float(f"{rate:.2g}"), asked.limit, min(max(round(1 - others, 2), 0.01), 0.99), alpha)


def _looks(progress: float, before: MetricVerdict | None) -> int:
    return max(sequential.looks_due(progress), (before and before.looks) or 0)


def _to_spend(looks: int, before: MetricVerdict | None) -> float:
    """Share of alpha for this look; 0 when none is due."""
    return sequential.spent(looks) - sequential.spent((before and before.looks) or 0)


def _verdict(failed: bool, enough: bool, before: MetricVerdict | None) -> Judgement:
    if failed:
        return Judgement.FAILED
    passed = enough or (before is not None and before.verdict is Judgement.PASSED)
    return Judgement.PASSED if passed else Judgement.INCONCLUSIVE


def _told(asked: _Compared, telling: Sequence[Stratum], needed: int, verdict: Judgement) -> str:
    things, bad = asked.words
    found = sequential.rates(telling)
    if found is None:
        return f"no {things} of both versions yet; {needed:,} are needed"
    candidate, stable = (sum(getattr(s, arm) for s in telling) for arm in ("candidate", "stable"))
    text = f"{percent(found.candidate)} of {candidate:,} {things} {bad}, {percent(found.stable)} of the stable version's {stable:,}"
    if verdict is Judgement.INCONCLUSIVE:
        return f"{text}; {needed:,} are needed"
    return f"{text} (limit +{100 * asked.limit:g} points)"


def _agreement_limit(analysis: Analysis, same_model: bool) -> float | None:
    """None: a new model may well answer differently."""
    if analysis.max_disagreement is not None:
        return analysis.max_disagreement
    return DISAGREEMENT if same_model else None


def _agreement(
    stages: Sequence[StageCounts], limit: float | None, alpha: float, before: MetricVerdict | None
) -> MetricVerdict | None:
    if before is not None and before.verdict is Judgement.FAILED:
        return before
    rows, differ = sum(counts.compared for counts in stages), sum(counts.disagreed for counts in stages)
    if limit is None:
        return _only_told(rows, differ) if rows else None
    rate = min(limit, ALWAYS_AGREED)
    needed = sequential.binomial_needed(rate, ALPHA)
    looks = _looks(rows / needed, before)
    part = alpha * _to_spend(looks, before)
    exceeded = bool(rows) and limit < 1 and sequential.binomial_tail(differ, rows, rate) <= part
    verdict = Judgement.FAILED if exceeded else Judgement.INCONCLUSIVE
    if not exceeded and rows >= needed and differ <= limit * rows:
        verdict = Judgement.PASSED
    missing = f"; {needed:,} are needed" if rows < needed and not exceeded else f" (limit {percent(limit)})"
    return MetricVerdict(
        name=AGREEMENT,
        verdict=verdict,
        candidate=_rounded(differ / rows) if rows else None,
        limit=limit,
        requests=rows,
        needed=needed,
        looks=looks,
        message=_differing(rows, differ) + missing,
    )


def _only_told(rows: int, differ: int) -> MetricVerdict:
    return MetricVerdict(
        name=AGREEMENT,
        verdict=Judgement.INCONCLUSIVE,
        candidate=_rounded(differ / rows),
        requests=rows,
        message=f"{_differing(rows, differ)}; not judged, since the model is another one",
    )


def _differing(rows: int, differ: int) -> str:
    return f"{percent(differ / rows)} of {rows:,} rows were answered differently" if rows else "no rows compared yet"


def _asked(query: Query, readings: Mapping[str, float | None], before: MetricVerdict | None) -> MetricVerdict:
    if before is not None and (before.verdict is Judgement.FAILED or query.name not in readings):
        return before
    value = readings.get(query.name)
    strikes = (before and before.strikes) or 0
    if value is None or not math.isfinite(value):
        missing = "Prometheus has no data for it" if query.name in readings else "not asked yet"
        return _answered(query, Judgement.INCONCLUSIVE, None, strikes, missing)
    if (problem := _problem(query, value)) is None:
        return _answered(query, Judgement.PASSED, value, 0, f"{value:.4g}{_within(query)}")
    strikes += 1
    verdict = Judgement.FAILED if strikes >= STRIKES else Judgement.INCONCLUSIVE
    times = f"{strikes} times in a row" if strikes > 1 else "once"
    return _answered(query, verdict, value, strikes, f"{problem}, {times}")


def _answered(query: Query, verdict: Judgement, value: float | None, strikes: int, message: str) -> MetricVerdict:
    limit = query.maximum if query.maximum is not None else query.minimum
    return MetricVerdict(
        name=query.name, verdict=verdict, candidate=value, limit=limit, strikes=strikes, message=message
    )


def _problem(query: Query, value: float) -> str | None:
    if query.maximum is not None and value > query.maximum:
        return f"{value:.4g} is above the maximum {query.maximum:g}"
    if query.minimum is not None and value < query.minimum:
        return f"{value:.4g} is below the minimum {query.minimum:g}"
    return None


def _within(query: Query) -> str:
    bounds = (("minimum", query.minimum), ("maximum", query.maximum))
    return " (" + ", ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None) + ")"


def _progress(metric: MetricVerdict) -> float:
    if metric.verdict is Judgement.PASSED or not metric.needed:
        return 1.0
    return min((metric.requests or 0) / metric.needed, 1.0)


def _rounded(value: float | None) -> float | None:
    """As many digits as anybody can use: status is read, and written only when it changes."""
    return None if value is None else round(value, 6)
