"""The test of two arms: tails against scipy, the number of requests against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mainspring.plan.statistics import sequential
from mainspring.plan.statistics.sequential import Stratum
from tests.chance import OFTEN

STRATA = st.builds(lambda n, x, m, y: Stratum(n, min(n, x), m, min(m, y)), *(st.integers(0, k) for k in (400, 30, 4000, 90)))  # fmt: skip


def exact(strata: list[Stratum]) -> float:
    """By scipy's probabilities, convolved."""
    chances = np.ones(1)
    for s in strata:
        chances = np.convolve(chances, stats.hypergeom(s.requests, s.bad, s.candidate).pmf(np.arange(s.bad + 1)))
    return float(chances[sum(s.candidate_bad for s in strata) :].sum())


@OFTEN
@given(st.lists(STRATA, min_size=1, max_size=4))
def test_the_tail_of_small_counts_is_exact(strata: list[Stratum]) -> None:
    assert sequential.tail(strata) == pytest.approx(exact([s for s in strata if s.requests]), rel=1e-6, abs=1e-15)


@pytest.mark.parametrize(("rate", "share"), [(0.02, 0.05), (0.05, 0.5), (0.3, 0.25), (0.6, 0.5), (0.9, 0.1)])
def test_the_tail_of_large_counts_is_near_the_exact_one(rate: float, share: float) -> None:
    candidate = round(20_000 * share)
    stable_bad = round((20_000 - candidate) * rate)
    usual = round(candidate * rate)
    for found in range(usual, usual + 200, 10):
        stratum = Stratum(candidate, min(found, candidate), 20_000 - candidate, stable_bad)
        true = float(stats.hypergeom(20_000, stratum.bad, candidate).sf(stratum.candidate_bad - 1))
        if 1e-7 < true < 0.3:
            assert sequential.tail([stratum]) == pytest.approx(true, rel=0.15)


def test_the_tail_of_several_large_strata_is_near_the_exact_one() -> None:
    strata = [Stratum(1000, 75, 19_000, 950), Stratum(2000, 140, 6000, 310), Stratum(2000, 130, 2000, 100)]
    assert sequential.tail(strata) == pytest.approx(exact(strata), rel=0.15)


def test_what_cannot_tell_a_difference_is_no_evidence() -> None:
    assert sequential.tail([]) == 1.0
    assert sequential.tail([Stratum(10, 10, 0, 0), Stratum(0, 0, 10, 0), Stratum(5, 5, 5, 5)]) == 1.0
    assert sequential.rates([Stratum(10, 10, 0, 0)]) is None
    assert sequential.tail([Stratum(10_000, 400, 10_000, 600)]) == 0.5, "better is not worse"
    assert sequential.tail([Stratum(3000, 3000, 3000, 0)]) < 1e-100


def test_a_rate_that_changes_with_time_is_no_difference() -> None:
    quiet, busy = Stratum(500, 2, 9500, 48), Stratum(2000, 100, 2000, 100)
    together = Stratum(2500, 102, 11_500, 148)
    assert sequential.tail([together]) < 1e-6
    assert sequential.tail([quiet, busy]) > 0.4
    found = sequential.rates([quiet, busy])
    assert found is not None
    assert found.increase == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(("trials", "rate"), [(230, 0.001), (4605, 0.001), (5000, 0.02), (100_000, 0.001), (40, 0.5)])
def test_the_binomial_tail_is_that_of_scipy(trials: int, rate: float) -> None:
    mean = int(trials * rate)
    for found in range(mean + 1, mean + 40):
        true = float(stats.binom(trials, rate).sf(found - 1))
        if 1e-9 < true < 0.4:
            assert sequential.binomial_tail(found, trials, rate) == pytest.approx(true, rel=1e-2)


def test_without_successes_so_many_trials_put_a_rate_below_its_limit() -> None:
    trials = sequential.binomial_needed(0.001, 0.01)
    assert (1 - 0.001) ** trials <= 0.01 < (1 - 0.001) ** (trials - 1)


POWERS = [
    (base, increase, share)
    for base in (0.0001, 0.005, 0.05, 0.3)
    for increase in (0.02, 0.05)
    for share in (0.05, 0.25, 0.5)
]


@pytest.mark.parametrize(("base", "increase", "share"), POWERS)
def test_the_needed_requests_find_the_increase(base: float, increase: float, share: float) -> None:
    """In 1,000 simulations at least 98 % are found, where 99.4 % are promised; two fifths of the requests would be too few."""
    alpha, requests = 0.005, sequential.needed(base, increase, share, 0.005)
    assert found(base, increase, share, alpha, requests) >= 0.98
    assert found(base, increase, share, alpha, requests * 2 // 5) < 0.97


def found(base: float, increase: float, share: float, alpha: float, requests: int) -> float:
    random = np.random.default_rng(7)
    stable = round(requests * (1 - share) / share)
    drawn = zip(random.binomial(requests, base + increase, 1000), random.binomial(stable, base, 1000), strict=True)
    rejected = 0
    for bad, stable_bad in drawn:
        strata = [Stratum(requests, int(bad), stable, int(stable_bad))]
        rates = sequential.rates(strata)
        assert rates is not None
        relevant = rates.increase >= sequential.RELEVANT * increase
        rejected += relevant and sequential.tail(strata) <= alpha * sequential.AT_NEEDED
    return rejected / 1000


def test_looks_spend_all_of_alpha_and_never_more() -> None:
    parts = [sequential.spent(looks + 1) - sequential.spent(looks) for looks in range(40)]
    assert all(part > 0 for part in parts)
    assert sum(parts) <= 1
    assert max(parts) == pytest.approx(sequential.AT_NEEDED)
    assert parts.index(max(parts)) == len(sequential.LOOKS) - 1, "most is spent when the needed requests have come"


def test_looks_are_due_as_evidence_comes_and_then_at_doublings() -> None:
    due = [sequential.looks_due(share) for share in (0, 0.009, 0.01, 0.5, 0.99, 1, 1.99, 2, 3.9, 4, 8.1)]
    known = len(sequential.LOOKS)
    assert due == [0, 0, 1, 8, known - 1, known, known, known + 1, known + 1, known + 2, known + 3]
