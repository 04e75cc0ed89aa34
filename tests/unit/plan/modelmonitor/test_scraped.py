"""From what Prometheus has to a reading: pods that restart, go, are scraped twice, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from mainspring.api.monitoring import FeedbackCounts
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.modelmonitor import promql, scraped, windows
from mainspring.plan.modelmonitor import series as parsing
from mainspring.plan.modelmonitor.promql import Selection
from mainspring.plan.modelmonitor.series import Sample
from tests.builders import NOW
from tests.series import REFERENCE, START, counted, snapshot


def find(*parts: Sequence[Sample]) -> scraped.Found:
    return scraped.find(parsing.targets(sample for part in parts for sample in part))


def test_a_snapshot_and_its_reference_come_back() -> None:
    target = parsing.targets(counted(7))["m-1-a"]
    told, reference = parsing.snapshot(target), parsing.reference(target)
    assert (told.rows, told.epoch, told.predicted) == (7, "1750000000.123456", [7, 0])
    assert [column.name for column in told.columns] == ["c", "x"]
    assert [column.counts for column in told.columns] == [[0, 7, 0], [7, 0, 0]]
    assert told.feedback == FeedbackCounts(rows=7, confusion=[[7, 0], [0, 0]])
    assert reference.classes == ["no", "yes"]
    assert (reference.columns[0].categories, reference.columns[1].edges) == (["a", "b"], [1.0, 2.0])
    assert told.digest == reference.digest


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["[2, inf)", "(-inf, -1)", "[-1, 2)"], ["(-inf, -1)", "[-1, 2)", "[2, inf)"]),
        (["[1e+10, inf)", "(-inf, 9)", "[9, 1e+10)"], ["(-inf, 9)", "[9, 1e+10)", "[1e+10, inf)"]),
        (["(others)", "z", "a"], ["a", "z", "(others)"]),
        (["(others)", "((others))", "z"], ["(others)", "z", "((others))"]),
        (["[2, 3)", "[1, 2)", "(others)"], ["[1, 2)", "[2, 3)", "(others)"]),
        (["[2, 3)", "[1, 2)"], ["[1, 2)", "[2, 3)"]),
        (
            ["[2026-01-02, inf)", "(-inf, 2025-12-31)", "[2025-12-31, 2026-01-02)"],
            ["(-inf, 2025-12-31)", "[2025-12-31, 2026-01-02)", "[2026-01-02, inf)"],
        ),
    ],
)
def test_bins_are_put_in_order_by_their_names(names: list[str], ordered: list[str]) -> None:
    assert parsing._ordered(names) == ordered


def test_dates_are_days() -> None:
    assert parsing._edge("1970-01-03") == 2
    assert parsing._edge("1970-01-03T12:00") == 2.5
    with pytest.raises(parsing.SeriesError, match="neither number nor date"):
        parsing._edge("soon")


def test_a_pod_that_is_scraped_twice_counts_once_as_it_was_scraped_last() -> None:
    found = find(counted(7, job="pods", at=10.0), counted(5, job="other", at=12.0))
    assert found.snapshots["m-1-a"].rows == 5
    restarted = find(counted(700, at=12.0), counted(5, job="other", started=START + 60, at=10.0))
    assert restarted.snapshots["m-1-a"].rows == 5, "the newest process"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_counts_are_named(value: float) -> None:
    found = find([Sample(s.labels, value if s.labels.get("bin") == "a" else s.value) for s in counted(4)])
    assert found.problems == {"m-1-a": "its series have values that are no counts"}
    assert scraped.reading(found, {"m-1-a"}, {}, {}, REFERENCE).silent == found.problems


def test_a_pod_that_is_gone_has_said_its_last_word() -> None:
    found = find(counted(9, at=None), counted(4, "m-1-b"))
    reading = scraped.reading(found, {"m-1-b"}, {"m-1-a": snapshot(5)}, {}, REFERENCE)
    assert {key: s.rows for key, s in reading.gone.items()} == {"m-1-a": 9}
    assert {key: s.rows for key, s in reading.snapshots.items()} == {"m-1-b": 4}


def test_while_prometheus_follows_it_more_may_come() -> None:
    reading = scraped.reading(find(counted(9)), set(), {"m-1-a": snapshot(5)}, {}, REFERENCE)
    assert (set(reading.snapshots), set(reading.gone)) == ({"m-1-a"}, set())


def test_a_pod_whose_series_are_forgotten_is_gone_with_what_was_read() -> None:
    reading = scraped.reading(find(counted(4, "m-1-b")), {"m-1-b"}, {"m-1-a": snapshot(5)}, {}, REFERENCE)
    assert {key: s.rows for key, s in reading.gone.items()} == {"m-1-a": 5}


def test_a_pod_that_is_not_scraped_is_silent_and_stays() -> None:
    reading = scraped.reading(find(counted(4, "m-1-b")), {"m-1-a", "m-1-b"}, {"m-1-a": snapshot(5)}, {}, REFERENCE)
    assert reading.silent == {"m-1-a": "Prometheus does not scrape it"}
    assert not reading.gone


def test_a_process_before_a_restart_has_its_last_word() -> None:
    before, found = {"m-1-a": snapshot(5)}, find(counted(2, started=START + 60))
    assert scraped.restarted(found, before) == {"m-1-a": pytest.approx(START + 60)}
    reading = scraped.reading(found, {"m-1-a"}, before, {"m-1-a": snapshot(8)}, REFERENCE)
    assert {key: s.rows for key, s in reading.gone.items()} == {"m-1-a": 8}
    (key,) = reading.snapshots
    assert key == f"m-1-a/{START + 60:.6f}"
    seen = {key: reading.snapshots[key]}
    again = scraped.reading(find(counted(6, started=START + 60)), {"m-1-a"}, seen, {}, REFERENCE)
    assert {key: s.rows for key, s in again.snapshots.items()} == {key: 6}
    assert not again.gone
    assert not scraped.restarted(found, seen)


@pytest.mark.parametrize("last", [{}, {"m-1-a": START + 60}, {"m-1-a": START - 99}])
def test_a_last_word_of_another_process_is_none(last: dict[str, float]) -> None:
    words = {pod: snapshot(99, started) for pod, started in last.items()}
    found = find(counted(2, started=START + 60))
    reading = scraped.reading(found, {"m-1-a"}, {"m-1-a": snapshot(5)}, words, REFERENCE)
    assert {key: s.rows for key, s in reading.gone.items()} == {"m-1-a": 5}


def test_less_than_was_read_is_no_news() -> None:
    reading = scraped.reading(find(counted(4)), {"m-1-a"}, {"m-1-a": snapshot(5)}, {}, REFERENCE)
    assert reading.snapshots["m-1-a"].rows == 5


def test_pods_that_nobody_knows_are_left_out() -> None:
    reading = scraped.reading(find(counted(4), counted(3, "m-1-b")), {"m-1-b"}, {}, {}, REFERENCE)
    assert set(reading.snapshots) == {"m-1-b"}


def test_what_was_read_last_counts_more_than_what_is_written_down() -> None:
    assert scraped.newest({"a": snapshot(5)}, {"a": snapshot(8)})["a"].rows == 8
    assert scraped.newest({"a": snapshot(5)}, {"a": snapshot(8, START + 1), "b": snapshot(1)})["a"].rows == 5


def test_features_without_series_are_named_by_their_number() -> None:
    fewer = [
        Sample(s.labels, 3.0 if s.labels.get("__name__", "").endswith("left_out") else s.value) for s in counted(4)
    ]
    reading = scraped.reading(find(fewer), {"m-1-a"}, {}, {}, REFERENCE)
    assert reading.note.startswith("3 features have no series")


def test_servers_that_are_older_than_the_watching_do_not_bring_their_past() -> None:
    """One pod was not scraped yet when the watching began."""
    spec = ModelMonitorSpec(service="m")
    now = datetime.fromtimestamp(START, UTC) + timedelta(hours=5)
    begun = scraped.reading(find(counted(10)), {"m-1-a", "m-1-b"}, {}, {}, REFERENCE)
    digest = begun.snapshots["m-1-a"].digest
    state = windows.begin("m-v1", digest, begun, None, spec, now)
    both = find(counted(11), counted(5000, "m-1-b"), counted(3, "m-1-c", started=START + 5 * 3600 + 60))
    later = scraped.reading(both, {"m-1-a", "m-1-b", "m-1-c"}, state.seen, {}, REFERENCE)
    found = windows.advance(state, later, spec, now + timedelta(seconds=30))
    assert found.state.counts is not None
    assert found.state.counts.rows == 1 + 3
    more = scraped.reading(
        find(counted(11), counted(5007, "m-1-b")), {"m-1-a", "m-1-b"}, found.state.seen, {}, REFERENCE
    )
    again = windows.advance(found.state, more, spec, now + timedelta(seconds=60))
    assert again.state.counts is not None
    assert again.state.counts.rows == 1 + 3 + 7


def test_another_version_counts_from_its_first_row() -> None:
    spec = ModelMonitorSpec(service="m")
    before = windows.begin("m-v0", "sha256:0", scraped.reading(find(), set(), {}, {}, None), None, spec, NOW)
    nothing = scraped.reading(find(), {"m-1-a"}, {}, {}, None)
    state = windows.begin("m-v1", snapshot(1).digest, nothing, before, spec, NOW)
    found = windows.advance(state, scraped.reading(find(counted(4)), {"m-1-a"}, {}, {}, REFERENCE), spec, NOW)
    assert found.state.counts is not None
    assert found.state.counts.rows == 4


def test_queries_name_the_pods_of_one_deployment_and_take_values_as_they_are() -> None:
    of = Selection("lab", "m-0123", "m", "1", {"cluster": 'a"b\\c', "namespace": "another"})
    text = promql.counts(of)
    assert 'pod=~"m-0123-.+"' in text
    assert 'cluster="a\\"b\\\\c"' in text
    assert 'namespace="lab"' in text
    assert 'namespace="another"' not in text
    assert "[15m]" in text
    assert 'pod=~"a-1|b-2"' in promql.counts_of(of, ["b-2", "a-1"])
    assert "mainspring_(reference_rows" in promql.reference(of, "a-1")
