"""Windows out of counters: nothing is lost, nothing counted twice, nothing believed that cannot be."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.api.monitoring import ErrorSums, FeedbackCounts, LabelMoments
from mainspring.plan.statistics import counts
from mainspring.plan.statistics.counts import CountsError, WindowCounts
from tests import monitored
from tests.chance import OFTEN

COUNT = st.integers(0, 1000)
BIN = st.lists(COUNT, min_size=3, max_size=3)
PAIR = st.lists(COUNT, min_size=2, max_size=2)
COLUMN = st.builds(
    monitored.column, st.just("age"), BIN, missing=COUNT, unseen=COUNT, out_of_range=COUNT, coerced=COUNT
)
TEXT = st.builds(monitored.column, st.just("note"), st.just([]), missing=COUNT)
# Whole numbers, which floats add without rounding.
SUM = COUNT.map(float)
MOMENTS = st.builds(
    lambda **sums: LabelMoments(**sums),
    rows=COUNT, third=st.integers(-99, 99).map(float), fourth=SUM,
    squared_errors_labels=st.integers(-99, 99).map(float), squared_errors_labels_squared=SUM,
)  # fmt: skip
ERRORS = st.builds(
    lambda **sums: ErrorSums(**sums),
    rows=COUNT,
    absolute=SUM,
    squared=SUM,
    fourth=SUM,
    labels=st.integers(-99, 99).map(float),
    labels_squared=SUM,
    moments=MOMENTS,
)
FEEDBACK = st.builds(
    lambda **facts: FeedbackCounts(**facts),
    rows=COUNT, refused=COUNT, repeated=COUNT,
    confusion=st.lists(PAIR, min_size=2, max_size=2), score_rows=BIN, score_positives=BIN, errors=ERRORS,
)  # fmt: skip
WINDOW = st.builds(monitored.window, COLUMN, TEXT, rows=COUNT, prediction=BIN, predicted=PAIR, feedback=FEEDBACK)


@OFTEN
@given(st.lists(WINDOW, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_servers_together_are_one_server_that_counted_everything(parts: list[WindowCounts], random: object) -> None:
    together = counts.added(*parts)
    servers = {f"pod-{index}": monitored.snapshot(part) for index, part in enumerate(parts)}
    assert counts.counted_since({}, servers) == together
    assert counts.counted_since({}, dict(reversed(servers.items()))) == together
    assert together.rows == sum(part.rows for part in parts)
    assert together.columns[0].counts[2] == sum(part.columns[0].counts[2] for part in parts)


@OFTEN
@given(st.lists(WINDOW, min_size=2, max_size=6))
def test_looking_often_or_once_gives_the_same_window(parts: list[WindowCounts]) -> None:
    totals = [monitored.snapshot(total) for total in accumulate(parts, counts.added)]
    looks = [counts.counted_since({}, {"pod": totals[0]})]
    looks += [counts.counted_since({"pod": earlier}, {"pod": later}) for earlier, later in pairwise(totals)]
    assert looks == parts
    assert counts.added(*looks) == counts.of_snapshot(totals[-1])


@OFTEN
@given(WINDOW, WINDOW)
def test_a_server_that_was_restarted_starts_again_from_zero(before: WindowCounts, after: WindowCounts) -> None:
    found = counts.counted_since({"pod": monitored.snapshot(before, "1")}, {"pod": monitored.snapshot(after, "2")})
    assert found == after


def test_a_server_that_went_away_adds_nothing_more() -> None:
    gone, there = monitored.window(monitored.column("age", [5, 5])), monitored.window(monitored.column("age", [1, 2]))
    assert counts.counted_since({"gone": monitored.snapshot(gone)}, {"there": monitored.snapshot(there)}) == there
    assert counts.counted_since({"gone": monitored.snapshot(gone)}, {}) is None


@pytest.mark.parametrize(
    ("later", "what"),
    [
        (monitored.window(monitored.column("age", [9, 4]), rows=9), "columns.counts went down within"),
        (monitored.window(monitored.column("age", [5, 5], missing=1), rows=9), "columns.missing went down"),
        (monitored.window(monitored.column("age", [5, 5], missing=3), rows=7), "rows went down from 8 to 7"),
    ],
)
def test_counts_that_went_down_within_an_epoch_are_refused_with_the_servers_name(
    later: WindowCounts, what: str
) -> None:
    earlier = monitored.window(monitored.column("age", [5, 5], missing=3), rows=8)
    with pytest.raises(CountsError, match=f"server pod-7: .*{what}") as found:
        counts.counted_since({"pod-7": monitored.snapshot(earlier)}, {"pod-7": monitored.snapshot(later)})
    assert found.value.server == "pod-7"


def test_the_sum_of_labels_may_fall_for_labels_may_be_negative() -> None:
    sums = {"absolute": 1.0, "squared": 1.0, "fourth": 1.0, "labels_squared": 9.0}
    earlier = monitored.labelled(monitored.window(rows=1), rows=1, errors=ErrorSums(rows=1, labels=3.0, **sums))
    later = monitored.labelled(monitored.window(rows=2), rows=2, errors=ErrorSums(rows=2, labels=-1.0, **sums))
    found = counts.counted_since({"pod": monitored.snapshot(earlier)}, {"pod": monitored.snapshot(later)})
    assert found is not None
    assert found.feedback is not None
    assert found.feedback.errors is not None
    assert found.feedback.errors.labels == -4.0


def test_feedback_that_begins_within_an_epoch_counts_and_does_not_vanish() -> None:
    without, having = monitored.window(rows=1), monitored.labelled(monitored.window(rows=2), rows=1)
    later = monitored.window(rows=3)
    found = counts.counted_since({"pod": monitored.snapshot(without)}, {"pod": monitored.snapshot(having)})
    assert found is not None
    assert found.feedback == FeedbackCounts(rows=1)
    with pytest.raises(CountsError, match="feedback is not counted any more"):
        counts.counted_since({"pod": monitored.snapshot(having)}, {"pod": monitored.snapshot(later)})


@pytest.mark.parametrize(
    "other",
    [
        monitored.window(monitored.column("age", [1, 2]), digest="sha256:other"),
        monitored.window(monitored.column("age", [1, 2, 3])),
        monitored.window(monitored.column("height", [1, 2])),
        monitored.window(monitored.column("age", [1, 2]), monitored.column("height", [1, 2])),
    ],
)
def test_counts_over_other_bins_are_not_added(other: WindowCounts) -> None:
    one = monitored.window(monitored.column("age", [1, 2]))
    with pytest.raises(CountsError, match="server b"):
        counts.counted_since({}, {"a": monitored.snapshot(one), "b": monitored.snapshot(other)})


@OFTEN
@given(WINDOW)
def test_a_window_survives_being_written_down(window: WindowCounts) -> None:
    assert WindowCounts.model_validate(window.to_dict()) == window


def test_a_window_can_become_the_reference() -> None:
    reference = monitored.reference(
        monitored.numbers("age", [1.0], [10, 20], missing=3),
        monitored.numbers("gone", [1.0], [10, 20]),
        prediction=monitored.probabilities([0.5], [15, 15], [1, 14]),
    )
    window = monitored.window(monitored.column("age", [7, 1], missing=2, out_of_range=1), prediction=[4, 6])
    found = counts.rebased(reference, window)
    assert found.rows == 10
    assert found.columns == [monitored.numbers("age", [1.0], [7, 1], missing=2, out_of_range=1)]
    assert found.prediction == monitored.probabilities([0.5], [4, 6], [1, 14], [15, 15])
