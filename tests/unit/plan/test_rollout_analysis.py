"""What a rollout is judged by: verdicts from counts, carried from one time to the next."""

from __future__ import annotations

import pytest

from mainspring.api.splitting import ArmCounts, StageCounts
from mainspring.api.v1alpha1.rollouts import Analysis, Judgement, MetricVerdict, Query
from mainspring.plan.inferenceservice import analysis
from mainspring.plan.inferenceservice.analysis import Evidence, Labels
from mainspring.plan.statistics import sequential

PASSED, FAILED, INCONCLUSIVE = Judgement.PASSED, Judgement.FAILED, Judgement.INCONCLUSIVE
USUAL = Analysis()
QUICK, SLOW = 40, 60  # buckets
QUERIES = Analysis(
    prometheus="http://prometheus:9090", queries=[Query(name="basket", query="basket", maximum=0.5, minimum=0.1)]
)


def arm(requests: int, errors: int = 0, slow: int = 0) -> ArmCounts:
    return ArmCounts(requests=requests, errors=errors, seconds={QUICK: requests - slow, SLOW: slow})


def stage(stable: ArmCounts, candidate: ArmCounts, number: int = 0, **more: object) -> StageCounts:
    return StageCounts(stage=number, stable=stable, candidate=candidate, **more)


def evidence(
    *stages: StageCounts, readings: dict[str, float | None] | None = None, **labels: Labels | None
) -> Evidence:
    return Evidence(stages, labels.get("stable"), labels.get("candidate"), readings or {})


def judged(
    found: Evidence, asked: Analysis = USUAL, before: tuple[MetricVerdict, ...] = (), same_model: bool = False
) -> dict[str, MetricVerdict]:
    return {metric.name: metric for metric in analysis.judge(asked, found, before, same_model)}


ALIKE = stage(arm(19_000, 95, 800), arm(1000, 5, 42))
FAILING = stage(arm(19_000, 95, 800), arm(1000, 30, 42))


def test_without_counts_everything_is_inconclusive_and_says_what_is_needed() -> None:
    found = analysis.judge(USUAL, evidence(), (), False)
    assert [metric.verdict for metric in found] == [INCONCLUSIVE, INCONCLUSIVE]
    assert analysis.overall(found) is INCONCLUSIVE
    assert analysis.share(found) == 0.0
    needed = analysis.needed_at_least(USUAL)
    assert max(metric.needed or 0 for metric in found) == needed
    assert f"no requests of both versions yet; {needed:,} are needed" in {metric.message for metric in found}


def test_equal_arms_pass_once_the_needed_requests_have_come() -> None:
    found = analysis.judge(USUAL, evidence(ALIKE), (), False)
    assert [metric.verdict for metric in found] == [PASSED, PASSED]
    assert analysis.overall(found) is PASSED
    assert analysis.share(found) == 1.0


def test_errors_fail_and_the_message_has_the_numbers() -> None:
    errors = judged(evidence(FAILING))["ErrorRate"]
    assert errors.verdict is FAILED
    assert (errors.stable, errors.candidate, errors.requests) == (0.005, 0.03, 1000)
    assert errors.message == "3 % of 1,000 requests failed, 0.5 % of the stable version's 19,000 (limit +2 points)"


def test_slow_requests_fail_by_the_stable_versions_own_times() -> None:
    slow = judged(evidence(stage(arm(5700, slow=200), arm(300, slow=90))))["SlowShare"]
    assert slow.verdict is FAILED
    assert "30 % of 300 requests were slower than the stable version's 95th percentile, 3.5 %" in slow.message


def test_what_both_versions_do_slowly_is_not_slow() -> None:
    """The bound is the bucket in which the stable version reaches 95 %: here that of its slow requests."""
    slow = judged(evidence(stage(arm(5700, slow=600), arm(300, slow=90))))["SlowShare"]
    assert (slow.stable, slow.candidate) == (0.0, 0.0)


def test_each_time_has_its_own_bound() -> None:
    """In the second stage all requests take longer, of both versions."""
    busy = ArmCounts(requests=1000, seconds={SLOW: 960, SLOW + 10: 40})
    found = judged(evidence(stage(arm(9500), arm(500)), stage(busy, busy, 1)))["SlowShare"]
    assert found.verdict is PASSED
    assert found.candidate == found.stable


def test_a_copied_request_counts_and_a_matched_one_only_when_none_were_drawn() -> None:
    matched = arm(400, 40)
    alone = StageCounts(stage=0, stable=arm(9000, 45), matched=matched)
    assert judged(evidence(alone))["ErrorRate"].verdict is FAILED
    mixed = StageCounts(stage=0, stable=arm(9000, 45), matched=matched, mirrored=arm(2000, 10))
    errors = judged(evidence(mixed))["ErrorRate"]
    assert (errors.requests, errors.verdict) == (2000, PASSED)


def test_times_without_one_of_the_arms_are_left_out() -> None:
    lonely = stage(arm(0), arm(500, 500), 1)
    assert judged(evidence(ALIKE, lonely))["ErrorRate"].requests == 1000


def test_a_failed_verdict_stays_as_it_was() -> None:
    failed = analysis.judge(USUAL, evidence(FAILING), (), False)
    later = analysis.judge(USUAL, evidence(stage(arm(90_000, 450), arm(90_000, 450))), failed, False)
    assert later[0] == failed[0]
    assert analysis.overall(later) is FAILED


def test_judging_again_without_new_counts_changes_nothing() -> None:
    for counted in (evidence(), evidence(ALIKE), evidence(FAILING), evidence(stage(arm(600, 3), arm(30, 1)))):
        first = analysis.judge(USUAL, counted, (), False)
        assert analysis.judge(USUAL, counted, first, False) == first


def test_between_two_looks_nothing_is_decided_but_numbers_go_on() -> None:
    """What is significant a moment after a look waits for the next one."""
    first = analysis.judge(USUAL, evidence(stage(arm(2000, 10), arm(106, 2))), (), False)
    more = evidence(stage(arm(2010, 10), arm(110, 12)))
    second = analysis.judge(USUAL, more, first, False)
    assert (first[0].looks, second[0].looks) == (second[0].looks, first[0].looks)
    assert (second[0].verdict, second[0].requests) == (INCONCLUSIVE, 110)
    assert analysis.judge(USUAL, more, (), False)[0].verdict is FAILED, "it would be, were a look due"


def test_an_increase_that_is_certain_but_small_is_no_failure() -> None:
    found = judged(evidence(stage(arm(400_000, 2000), arm(100_000, 800))))["ErrorRate"]
    assert sequential.tail([sequential.Stratum(100_000, 800, 400_000, 2000)]) < 1e-20
    assert found.verdict is PASSED


def test_passed_stays_passed_while_more_is_needed_later() -> None:
    passed = analysis.judge(USUAL, evidence(ALIKE), (), False)
    half = stage(arm(300, 30, 20), arm(300, 30, 20), 1)
    later = analysis.judge(USUAL, evidence(ALIKE, half), passed, False)
    assert (later[0].needed or 0) > (later[0].requests or 0), "more requests fail now, of both"
    assert later[0].verdict is PASSED
    assert analysis.share(later) == 1.0


def test_quality_is_judged_only_when_asked_for() -> None:
    labels = {"stable": Labels(3600, 4000), "candidate": Labels(4100, 5000)}
    assert "QualityDrop" not in judged(evidence(ALIKE, **labels))
    asked = Analysis(max_quality_drop=0.05)
    quality = judged(evidence(ALIKE, **labels), asked)["QualityDrop"]
    assert quality.verdict is FAILED
    assert (
        quality.message
        == "18 % of 5,000 predictions with labels were wrong, 10 % of the stable version's 4,000 (limit +5 points)"
    )
    waiting = analysis.judge(asked, evidence(ALIKE), (), False)
    assert analysis.overall(waiting) is INCONCLUSIVE, "without labels it cannot pass"
    assert analysis.share(waiting) == 0.0


def agreeing(rows: int, differ: int) -> Evidence:
    return evidence(ALIKE.model_copy(update={"compared": rows, "disagreed": differ}))


def test_another_model_may_answer_differently() -> None:
    found = analysis.judge(USUAL, agreeing(1000, 320), (), False)
    told = found[-1]
    assert (told.name, told.verdict, told.candidate) == ("Disagreement", INCONCLUSIVE, 0.32)
    assert told.message == "32 % of 1,000 rows were answered differently; not judged, since the model is another one"
    assert analysis.overall(found) is PASSED
    assert analysis.share(found) == 1.0


@pytest.mark.parametrize(
    ("rows", "differ", "verdict"),
    [(5000, 0, PASSED), (5000, 4, PASSED), (5000, 25, FAILED), (4000, 0, INCONCLUSIVE), (5000, 7, INCONCLUSIVE)],
)
def test_the_same_model_has_to_answer_the_same(rows: int, differ: int, verdict: Judgement) -> None:
    assert judged(agreeing(rows, differ), same_model=True)["Disagreement"].verdict is verdict


def test_the_same_model_without_compared_rows_waits_for_them() -> None:
    found = analysis.judge(USUAL, evidence(ALIKE), (), True)
    assert found[-1].message == f"no rows compared yet; {found[-1].needed:,} are needed"
    assert analysis.overall(found) is INCONCLUSIVE


def test_a_limit_of_all_rows_is_never_exceeded() -> None:
    asked = Analysis(max_disagreement=1.0)
    assert judged(agreeing(100, 100), asked)["Disagreement"].verdict is PASSED


def test_disagreement_that_failed_stays_failed() -> None:
    failed = analysis.judge(USUAL, agreeing(5000, 25), (), True)
    assert analysis.judge(USUAL, agreeing(500_000, 25), failed, True)[2] == failed[2]


def asked(*values: float | None) -> MetricVerdict:
    """The verdict of the query after these readings; None: no data."""
    metrics: tuple[MetricVerdict, ...] = ()
    for value in values:
        metrics = analysis.judge(QUERIES, evidence(readings={"basket": value}), metrics, False)
    return metrics[-1]


def test_a_query_fails_when_it_is_out_of_bounds_twice_in_a_row() -> None:
    assert (asked(0.3).verdict, asked(0.3).message) == (PASSED, "0.3 (minimum 0.1, maximum 0.5)")
    assert (asked(0.6).verdict, asked(0.6).strikes) == (INCONCLUSIVE, 1)
    assert asked(0.6, 0.3, 0.6).verdict is INCONCLUSIVE
    assert asked(0.6, 0.05).message == "0.05 is below the minimum 0.1, 2 times in a row"
    assert asked(0.6, 0.7, 0.3).verdict is FAILED


def test_a_query_without_data_is_inconclusive_and_forgives_nothing() -> None:
    assert (asked(None).verdict, asked(None).message) == (INCONCLUSIVE, "Prometheus has no data for it")
    assert asked(0.3, None).verdict is INCONCLUSIVE
    assert asked(0.6, None, 0.6).verdict is FAILED
    assert asked(float("nan")).verdict is INCONCLUSIVE
    assert asked(float("inf"), float("inf")).verdict is INCONCLUSIVE, "a number that status cannot hold"


def test_a_query_that_was_not_asked_this_time_says_what_it_said() -> None:
    first = analysis.judge(QUERIES, evidence(readings={"basket": 0.6}), (), False)
    assert analysis.judge(QUERIES, evidence(), first, False) == first
    assert analysis.judge(QUERIES, evidence(), (), False)[-1].message == "not asked yet"


def test_a_query_holds_the_verdict_but_not_the_share_of_requests() -> None:
    found = analysis.judge(QUERIES, evidence(ALIKE), (), False)
    assert analysis.overall(found) is INCONCLUSIVE
    assert analysis.share(found) == 1.0


def test_nothing_judged_is_no_pass() -> None:
    assert analysis.overall(()) is INCONCLUSIVE
    assert analysis.share(()) == 0.0


def test_counts_of_pods_add_up_stage_by_stage() -> None:
    one = [stage(arm(10, 1), ArmCounts(failures={"timeout": 1}), 1, compared=2), stage(arm(5), arm(5), 0)]
    other = [stage(arm(20, 2), ArmCounts(failures={"timeout": 2, "500": 1}), 1, skipped=3)]
    first, second = analysis.add(one, other)
    assert (first.stage, first) == (0, one[1])
    assert (second.stage, second.stable.requests, second.stable.errors) == (1, 30, 3)
    assert second.stable.seconds == {QUICK: 30, SLOW: 0}
    assert second.candidate.failures == {"timeout": 3, "500": 1}
    assert (second.compared, second.skipped) == (2, 3)
    assert analysis.add([], one) == (one[1], one[0])


def test_more_metrics_need_more_requests_and_more_of_an_arm_fewer() -> None:
    alone = analysis.needed_at_least(USUAL)
    assert analysis.needed_at_least(Analysis(max_quality_drop=0.05)) > alone
    assert analysis.needed_at_least(USUAL, same_model=True) > alone
    assert analysis.needed_at_least(USUAL, candidate_share=0.05) < alone < analysis.needed_at_least(USUAL, 0.5)


def test_messages_fit_into_status() -> None:
    everything = Analysis(
        max_error_rate_increase=0.123456789, max_slow_share_increase=0.123456789, max_quality_drop=0.123456789
    )
    huge = arm(10**9, 10**8, 10**8)
    labels = {"stable": Labels(10**8, 10**9), "candidate": Labels(10**8, 10**9)}
    for metric in judged(evidence(stage(huge, huge), **labels), everything).values():
        assert len(metric.message) <= 256
