"""Whether one of two arms fails more often, asked several times while counts come in: an exact test, and what it needs.

Counts are kept in strata, times during which the shares of the arms were the same. Within one, given how many requests
failed in both arms together, which of them fell to the candidate is chance alone when both arms fail equally often: a
hypergeometric number. Their sum over the strata is what is tested, so a rate that changes with time is no difference.

Each look spends a part of alpha of its own (Bonferroni), so nothing needs to be known of how looks depend on each other,
and a look that was missed leaves its part to the next. Called by `inferenceservice.analysis`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mainspring.plan.statistics.distributions import normal_upper_quantile

POWER_LOST = 0.006  # of stated increases, the share that is not found once the needed requests have come
LOOKS = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    1.0,
)  # by the share of the needed requests; then 2, 4, 8, ...
AT_NEEDED = 0.55  # of alpha is spent at the look when the needed requests have come,
AFTER_NEEDED = 0.2  # this at all later ones, each half of what is left, and the rest equally at the earlier ones
RELEVANT = 0.4  # of the stated increase: less than that is no failure, however certain it is

EXACT_BELOW = 50.0  # variance; above it the saddlepoint is within 12 % of a probability of a millionth, and quicker
REACH = 12.0  # standard deviations, and as many counts, beyond which a probability is nothing
MOST_REQUESTS = 1 << 30
_BISECTIONS = 60


@dataclass(frozen=True)
class Stratum:
    """Requests of both arms at a time when their shares were the same, and how many of them were bad."""

    candidate: int
    candidate_bad: int
    stable: int
    stable_bad: int

    @property
    def bad(self) -> int:
        return self.candidate_bad + self.stable_bad

    @property
    def requests(self) -> int:
        return self.candidate + self.stable

    @property
    def weight(self) -> float:
        """How much it says of a difference, in requests of the candidate against an endless stable arm."""
        return self.candidate * self.stable / self.requests if self.requests else 0.0

    @property
    def mean(self) -> float:
        """Of the candidate's bad requests, given all that were bad, when both arms are equal."""
        return self.bad * self.candidate / self.requests

    @property
    def variance(self) -> float:
        good = self.requests - self.bad
        return self.mean * (self.stable / self.requests) * good / (self.requests - 1)


def weight(strata: Sequence[Stratum]) -> float:
    return math.fsum(stratum.weight for stratum in strata)


@dataclass(frozen=True)
class Rates:
    """Of bad requests, 0 to 1."""

    candidate: float
    stable: float

    @property
    def increase(self) -> float:
        return self.candidate - self.stable


def rates(strata: Sequence[Stratum]) -> Rates | None:
    """Of both arms, where the strata count as much as they say of a difference (Mantel and Haenszel's weights; Greenland
    and Robins, Biometrics 41, 1985). None while one of the arms has no requests."""
    total = weight(strata)
    if not total:
        return None
    telling = [s for s in strata if s.weight]
    candidate = math.fsum(s.weight * s.candidate_bad / s.candidate for s in telling) / total
    return Rates(candidate, math.fsum(s.weight * s.stable_bad / s.stable for s in telling) / total)


def tail(strata: Sequence[Stratum]) -> float:
    """How likely at least so many bad requests of the candidate are, given all that were bad, when both arms are equal.

    Exact for small counts; for large ones a probability that is not below 1/2 is told as 1/2.
    """
    telling = [s for s in strata if s.candidate and s.stable and 0 < s.bad < s.requests]
    found = sum(s.candidate_bad for s in telling)
    if math.fsum(s.variance for s in telling) < EXACT_BELOW:
        return _exact_tail(telling, found)
    return _saddlepoint_tail([_binomial(s) for s in telling], found)


def _exact_tail(strata: Sequence[Stratum], found: int) -> float:
    lowest, chances = 0, [1.0]
    for stratum in strata:
        low, more = _hypergeometric(stratum)
        lowest, chances = lowest + low, _convolved(chances, more)
    return min(math.fsum(chances[max(found - lowest, 0) :]), 1.0)


def _hypergeometric(stratum: Stratum) -> tuple[int, list[float]]:
    """The smallest number, and the probabilities of it and of those after it, as far as they are anything."""
    reach = REACH * (1 + math.sqrt(stratum.variance))
    low = max(0, stratum.bad - stratum.stable, math.floor(stratum.mean - reach))
    high = min(stratum.bad, stratum.candidate, math.ceil(stratum.mean + reach))
    every = _log_choose(stratum.requests, stratum.bad)
    logarithms = (
        _log_choose(stratum.candidate, k) + _log_choose(stratum.stable, stratum.bad - k) - every
        for k in range(low, high + 1)
    )
    return low, [math.exp(value) for value in logarithms]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _convolved(first: Sequence[float], second: Sequence[float]) -> list[float]:
    total = [0.0] * (len(first) + len(second) - 1)
    for place, chance in enumerate(first):
        for other, more in enumerate(second, place):
            total[other] += chance * more
    return total


@dataclass(frozen=True)
class _Binomial:
    """With a constant added. Trials need not be whole."""

    trials: float
    share: float
    constant: float = 0.0


def _binomial(stratum: Stratum) -> _Binomial:
    """With the mean, the variance and the skewness of the hypergeometric number."""
    requests = stratum.requests
    skew = (requests - 2 * stratum.candidate) * (requests - 2 * stratum.bad) / (requests * (requests - 2))
    share = (1 - skew) / 2
    trials = stratum.variance / (share * (1 - share))
    return _Binomial(trials, share, stratum.mean - trials * share)


def _saddlepoint_tail(parts: Sequence[_Binomial], found: int) -> float:
    """P(X >= found) of a sum of binomial numbers: Lugannani and Rice's formula with the second continuity correction
    (Daniels, International Statistical Review 55, 1987, 6.1)."""
    at = found - 0.5 - math.fsum(part.constant for part in parts)
    if at <= math.fsum(part.trials * part.share for part in parts):
        return 0.5
    if at >= math.fsum(part.trials for part in parts):
        return 0.0
    tilt = _increasing_root(lambda s: math.fsum(_tilted(part, s)[0] for part in parts) - at)
    cumulants = math.fsum(part.trials * math.log1p(part.share * math.expm1(tilt)) for part in parts)
    variance = math.fsum(_tilted(part, tilt)[1] for part in parts)
    return _lugannani_rice(
        math.sqrt(max(2 * (tilt * at - cumulants), 0.0)), 2 * math.sinh(tilt / 2) * math.sqrt(variance)
    )


def _lugannani_rice(signed: float, step: float) -> float:
    if signed < 1e-3:  # next to the mean the formula is 1/0 - 1/0
        return 0.5
    density = math.exp(-signed * signed / 2) / math.sqrt(2 * math.pi)
    return min(max(math.erfc(signed / math.sqrt(2)) / 2 + density * (1 / step - 1 / signed), 0.0), 1.0)


def _tilted(part: _Binomial, tilt: float) -> tuple[float, float]:
    """Mean and variance when each trial's odds are multiplied by exp(tilt)."""
    odds = part.share * math.exp(tilt)
    share = odds / (odds + 1 - part.share)
    return part.trials * share, part.trials * share * (1 - share)


def _increasing_root(rises: Callable[[float], float]) -> float:
    """Where it crosses 0, for one that is negative at 0."""
    low, high = 0.0, 1.0
    while rises(high) < 0 and high < 256:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return high


def binomial_tail(found: int, trials: int, rate: float) -> float:
    """P(X >= found) of a binomial X, for a rate in (0, 1); told as `tail` does."""
    mean, variance = trials * rate, trials * rate * (1 - rate)
    if variance >= EXACT_BELOW:
        return _saddlepoint_tail([_Binomial(trials, rate)], found)
    reach = REACH * (1 + math.sqrt(variance))
    counts = range(max(found, math.floor(mean - reach)), min(trials, math.ceil(max(mean, found) + reach)) + 1)
    return min(math.fsum(_chance(k, trials, rate) for k in counts), 1.0)


def binomial_needed(rate: float, alpha: float) -> int:
    """How many trials without a success tell that the rate is below this one, for a rate in (0, 1)."""
    return math.ceil(math.log(alpha) / math.log1p(-rate))


def _chance(k: int, trials: int, rate: float) -> float:
    return math.exp(_log_choose(trials, k) + k * math.log(rate) + (trials - k) * math.log1p(-rate))


def spent(looks: int) -> float:
    """Share of alpha that the first so many looks spend: 0 to 1, of which the last is never reached."""
    early = len(LOOKS) - 1
    if looks <= early:
        return (1 - AT_NEEDED - AFTER_NEEDED) * looks / early
    return 1 - AFTER_NEEDED * 0.5 ** (looks - len(LOOKS))


def looks_due(share: float) -> int:
    """How many looks are due by the share of the needed requests that has come."""
    if share < 2:
        return sum(share >= at for at in LOOKS)
    return len(LOOKS) + math.floor(math.log2(share))


@lru_cache(maxsize=1024)
def needed(base: float, increase: float, share: float, alpha: float) -> int:
    """How many requests of the candidate find `increase` over the rate `base` with probability 1 - `POWER_LOST`.

    `share` is the candidate's share of all requests, `alpha` what is spent over all looks. The counts of both arms are put
    where a bad candidate is least noticed with that probability: the point next to their means, in units of their standard
    deviations, at which the test would miss it (Hasofer and Lind, Journal of the Engineering Mechanics Division 100,
    1974), by the angular transform, which makes their deviations the same for all rates. At that point the test is asked.
    """
    least, most = 1, 16
    while not _found(most, base, increase, share, alpha) and most < MOST_REQUESTS:
        least, most = most, 2 * most
    while most - least > max(least // 200, 1):
        middle = (least + most) // 2
        least, most = (least, middle) if _found(middle, base, increase, share, alpha) else (middle, most)
    return most


def _found(requests: int, base: float, increase: float, share: float, alpha: float) -> bool:
    stable = max(round(requests * (1 - share) / share), 1)
    z = normal_upper_quantile(POWER_LOST)
    bad = math.floor(_moved(requests, min(base + increase, 1.0), -z * math.sqrt(1 - share)))
    stable_bad = math.ceil(_moved(stable, base, z * math.sqrt(share)))
    stratum = Stratum(requests, bad, stable, stable_bad)
    relevant = bad / requests - stable_bad / stable >= RELEVANT * increase
    return relevant and tail([stratum]) <= alpha * AT_NEEDED


def _moved(trials: int, rate: float, deviations: float) -> float:
    """So many standard deviations from the mean of a binomial number (Anscombe, Biometrika 35, 1948)."""
    angle = math.asin(math.sqrt((trials * rate + 0.375) / (trials + 0.75))) + deviations / (2 * math.sqrt(trials + 0.5))
    moved = (trials + 0.75) * math.sin(min(max(angle, 0.0), math.pi / 2)) ** 2 - 0.375
    return min(max(moved, 0.0), float(trials))
