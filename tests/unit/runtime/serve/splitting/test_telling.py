"""Breaker, budget, and what Prometheus is told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from mainspring_runtime.serve.metrics import SECONDS_BUCKETS, Distribution
from mainspring_runtime.serve.splitting import messages
from mainspring_runtime.serve.splitting.breaker import FAILURES, PAUSE_SECONDS, Breaker
from mainspring_runtime.serve.splitting.budget import ENOUGH, Budget
from mainspring_runtime.serve.splitting.series import SplittingCollector
from tests.unit.runtime.serve.splitting.pods import CANDIDATE, STABLE, Pod, Scene, play, until


def opened(at: float) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.lets_through(at)
        breaker.failed(at)
    return breaker


def test_the_breaker_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
        assert breaker.lets_through(0.0)
    assert not opened(0.0).lets_through(0.0)


def test_after_the_pause_one_is_let_through_and_decides() -> None:
    breaker = opened(10.0)
    later = 10.0 + PAUSE_SECONDS
    assert not breaker.lets_through(later - 0.01)
    assert [breaker.lets_through(later) for _ in range(3)] == [True, False, False]
    breaker.failed(later)
    assert not breaker.lets_through(later + 0.5)
    assert breaker.lets_through(later + PAUSE_SECONDS)
    breaker.abandoned()
    assert breaker.lets_through(later + PAUSE_SECONDS), "its caller went away, so the next one tries"
    breaker.succeeded()
    assert [breaker.lets_through(later + PAUSE_SECONDS) for _ in range(3)] == [True] * 3


def answers(count: int, seconds: float) -> Distribution:
    found = Distribution(SECONDS_BUCKETS)
    for _ in range(count):
        found.observe(seconds)
    return found


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [
        (ENOUGH - 1, 0.001, 2.5),
        (ENOUGH, 0.001, 0.1),
        (ENOUGH, 0.2, 0.4),
        (ENOUGH, 2.0, 2.5),
        (ENOUGH, 60.0, 2.5),
    ],
)
def test_the_candidate_may_take_twice_the_p99_within_bounds(count: int, seconds: float, expected: float) -> None:
    budget = Budget(answers(count, seconds), 5.0)
    budget.renew()
    assert budget.seconds == pytest.approx(expected, rel=0.01)


def test_the_budget_follows_the_last_answers() -> None:
    found = answers(10 * ENOUGH, 1.0)
    budget = Budget(found, 5.0)
    budget.renew()
    assert budget.seconds == pytest.approx(2.0)
    for _ in range(ENOUGH):
        found.observe(0.1)
    budget.renew()
    assert budget.seconds == pytest.approx(0.2)
    budget.renew()
    assert budget.seconds == pytest.approx(0.2), "none came since"


def test_a_pod_that_drains_has_no_time_to_wait() -> None:
    budget = Budget(Distribution(SECONDS_BUCKETS), 60.0)
    assert budget.seconds == 30.0
    budget.hurry()
    assert budget.seconds == 1.0
    assert budget.seconds < math.inf


def scrape(pod: Pod) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their further labels, without buckets."""
    registry = CollectorRegistry()
    registry.register(SplittingCollector("tumours", "3", pod.splitting))
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            assert (sample.labels["model"], sample.labels["version"]) == ("tumours", "3")
            others = [value for name, value in sorted(sample.labels.items()) if name not in ("model", "version")]
            if not sample.name.endswith("_bucket"):
                found[(sample.name, *others)] = sample.value
    return found


def test_a_server_without_a_rollout_has_no_series_of_one(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        assert scrape(await scene.pod(STABLE)) == {}

    play(tmp_path, scenario)


def test_prometheus_is_told_what_applies_and_what_was_counted(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=50, mirror=100, match={"x-cohort": "beta"})
        caller = scene.caller(stable)
        for _ in range(100):
            await caller.ask(1.0)
        await caller.ask(1.0, X_Cohort="beta")
        await until(lambda: stable.counts.mirrored.requests + stable.counts.skipped == 50)
        candidate.listener.stop()
        found = scrape(stable)
        prefix = "mainspring_split_requests_total"
        assert [found[prefix, arm, "answered"] for arm in ("stable", "candidate", "matched")] == [50, 50, 1]
        assert found["mainspring_forward_seconds_count",] == 51
        rows = [found["mainspring_split_compared_rows_total", outcome] for outcome in ("agreed", "disagreed")]
        assert (rows[0], rows[1] > 0) == (0, True)
        assert found["mainspring_split_skipped_copies_total",] == stable.counts.skipped
        assert found["mainspring_split_percent", "weight"] == 50
        assert found["mainspring_split_percent", "mirror"] == 100
        assert found["mainspring_split_info", CANDIDATE, "r1"] == 1
        assert found["mainspring_split_breaker_open", "forward"] == 0
        assert found["mainspring_split_budget_seconds",] == 2.5
        assert scrape(candidate) == {("mainspring_shadow_requests_total", "200"): stable.counts.mirrored.requests}
        for _ in range(100):
            await caller.ask(1.0)
        told = scrape(stable)
        assert told[prefix, "candidate", "unavailable"] > 0
        assert told["mainspring_split_breaker_open", "forward"] == 1
        stable.write(b"{")
        stable.splitting.look()
        assert any(name == "mainspring_split_problem" for name, *_ in scrape(stable))

    play(tmp_path, scenario)


@pytest.mark.parametrize(("host", "told"), [("10.96.0.7", b"10.96.0.7"), ("fd00::7", b"[fd00::7]")])
def test_the_host_of_a_forwarded_request_is_one_that_any_server_takes(host: str, told: bytes) -> None:
    assert messages.make_start(b"/x", host, {b"a": b"b"}) == b"POST /x HTTP/1.1\r\nhost: %s\r\na: b\r\n" % told
