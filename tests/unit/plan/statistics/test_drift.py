"""The one drift rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.api.monitoring import Reference, ReferenceColumn
from mainspring.plan.statistics import drift
from mainspring.plan.statistics.drift import PREDICTION, FeatureDrift, Streak
from tests import monitored
from tests.chance import OFTEN

CELLS = st.lists(st.integers(0, 2000), min_size=3, max_size=3)
NUMBERS = st.builds(
    lambda counts, missing: monitored.numbers("size", [1.0, 2.0], counts, missing=missing), CELLS, st.integers(0, 99)
)
COLOURS = st.builds(
    lambda counts, missing: monitored.categories("colour", ["red", "blue"], counts, missing=missing),
    CELLS,
    st.integers(0, 99),
)
REFERENCES = st.builds(
    lambda *columns, counts: monitored.reference(*columns, prediction=monitored.probabilities([0.2, 0.5], counts)),
    NUMBERS, COLOURS, counts=CELLS,
)  # fmt: skip
DECILES = [float(edge) for edge in range(1, 10)]


def stable(name: str) -> ReferenceColumn:
    return monitored.numbers(name, DECILES, [100] * 10)


def judged(reference: Reference, counts: dict[str, list[int]], **options: object) -> dict[str, FeatureDrift]:
    window = monitored.window(*(monitored.column(name, values) for name, values in counts.items()))
    return {found.name: found for found in drift.judge(reference, window, options.pop("streaks", {}), "t1", **options)}


MOVED = [40, 40, 60, 80, 90, 90, 100, 130, 150, 220]


@OFTEN
@given(REFERENCES)
def test_the_reference_itself_is_no_drift(reference: Reference) -> None:
    for found in drift.judge(reference, monitored.same_as(reference), {}, "t1"):
        assert not found.exceeds
        assert found.streak is None
        assert found.p == pytest.approx(1.0)
        assert found.psi == pytest.approx(0.0, abs=1e-9)


@OFTEN
@given(REFERENCES, CELLS, CELLS, CELLS)
def test_every_window_gets_a_verdict_that_agrees_with_itself(
    reference: Reference, sizes: list[int], colours: list[int], predictions: list[int]
) -> None:
    window = monitored.window(
        monitored.column("size", sizes), monitored.column("colour", colours), prediction=predictions
    )
    for found in drift.judge(reference, window, {}, "t1"):
        assert 0 <= found.p <= found.adjusted_p <= 1
        assert 0 <= found.js <= 1
        assert found.threshold >= drift.FLOORS["Normal"]
        assert found.exceeds == (found.adjusted_p <= drift.FAMILY_ALPHA and found.psi > found.threshold)
        assert found.explanation
        assert not found.drifted


def test_drift_needs_two_windows_in_a_row_and_then_says_since_when() -> None:
    reference = monitored.reference(stable("size"))
    window = monitored.window(monitored.column("size", MOVED))
    first = drift.judge(reference, window, {}, "10:00")
    second = drift.judge(reference, window, drift.streaks_of(first), "10:15")
    third = drift.judge(reference, window, drift.streaks_of(second), "10:30")
    assert [(v[0].exceeds, v[0].drifted, v[0].since) for v in (first, second, third)] == [
        (True, False, None),
        (True, True, "10:00"),
        (True, True, "10:00"),
    ]
    calm = drift.judge(reference, monitored.same_as(reference), drift.streaks_of(third), "10:45")
    assert drift.streaks_of(calm) == {}
    assert not calm[0].drifted


def test_a_window_between_two_that_differ_starts_the_count_again() -> None:
    reference = monitored.reference(stable("size"))
    moved = monitored.window(monitored.column("size", MOVED))
    streaks: dict[str, Streak] = {}
    for window, at in [(moved, "1"), (monitored.same_as(reference), "2"), (moved, "3")]:
        verdicts = drift.judge(reference, window, streaks, at)
        streaks = drift.streaks_of(verdicts)
    assert streaks == {"size": Streak("3", 1)}


def test_the_sentence_names_the_bin_that_moved_most() -> None:
    reference = monitored.reference(monitored.numbers("mean_radius", [12.0, 20.1], [520, 440, 40]))
    found = judged(reference, {"mean_radius": [300, 390, 310]})["mean_radius"]
    assert found.explanation == "mean_radius: PSI 0.68 over 0.10; 31 % of rows above 20.1, 4 % in the reference"
    calm = judged(reference, {"mean_radius": [519, 440, 41]})["mean_radius"]
    assert calm.explanation.startswith("mean_radius: PSI 0.00 under 0.10; ")


def test_a_large_psi_of_few_rows_is_left_to_chance() -> None:
    reference = monitored.reference(monitored.numbers("size", [1.0], [100, 100]))
    found = judged(reference, {"size": [13, 28]})["size"]
    assert found.psi > drift.FLOORS["Normal"]
    assert not found.exceeds


def test_a_psi_over_its_threshold_says_so_when_other_columns_leave_it_to_chance() -> None:
    reference = monitored.reference(*(stable(f"x{index}") for index in range(51)))
    counts = {f"x{index}": [100] * 10 for index in range(51)}
    counts["x7"] = [20, 22, 0, 9, 3, 13, 12, 10, 18, 13]
    found = judged(reference, counts)["x7"]
    assert found.psi > found.threshold
    assert found.p < drift.FAMILY_ALPHA < found.adjusted_p
    assert not found.exceeds
    assert "which chance explains (p 0.0" in found.explanation


def test_sensitivity_moves_the_floor() -> None:
    reference = monitored.reference(monitored.numbers("size", [1.0], [5000, 5000]))
    counts = {
        "size": [3800, 6200],
    }
    psi = judged(reference, counts)["size"].psi
    assert drift.FLOORS["High"] < psi < drift.FLOORS["Normal"] < drift.FLOORS["Low"]
    assert judged(reference, counts, floor=drift.FLOORS["High"])["size"].exceeds
    assert not judged(reference, counts)["size"].exceeds


def test_missing_and_unseen_values_are_bins() -> None:
    reference = monitored.reference(
        monitored.numbers("size", [1.0], [480, 480], missing=40),
        monitored.categories("colour", ["red", "blue"], [500, 400, 100]),
    )
    window = monitored.window(
        monitored.column("size", [400, 400], missing=200),
        monitored.column("colour", [450, 350, 200], unseen=150),
    )
    size, colour = drift.judge(reference, window, {}, "t1")
    assert size.exceeds
    assert size.explanation.endswith("20 % of rows missing, 4 % in the reference")
    assert colour.exceeds
    assert colour.explanation.endswith("15 % of rows with a value that training never saw, 0 % in the reference")


def test_the_prediction_is_judged_like_a_feature_and_comes_last() -> None:
    reference = monitored.reference(stable("size"), prediction=monitored.probabilities([0.2, 0.5], [600, 200, 200]))
    window = monitored.window(monitored.column("size", [100] * 10), prediction=[300, 200, 500])
    size, prediction = drift.judge(reference, window, {PREDICTION: Streak("t0", 1)}, "t1")
    assert (size.name, prediction.name) == ("size", PREDICTION)
    assert prediction.drifted
    assert prediction.since == "t0"
    assert prediction.explanation.startswith("prediction: PSI 0.")
    assert prediction.adjusted_p == pytest.approx(2 * prediction.p)


def test_what_is_excluded_is_not_judged_and_costs_the_others_nothing() -> None:
    reference = monitored.reference(stable("size"), stable("visit_id"))
    found = judged(reference, {"size": MOVED, "visit_id": MOVED}, exclude=["visit_id"])
    assert list(found) == ["size"]
    assert found["size"].adjusted_p == found["size"].p


def test_what_cannot_be_compared_is_said_and_does_not_alarm() -> None:
    reference = monitored.reference(
        monitored.numbers("constant", [], [1000]), stable("silent"), monitored.numbers("new", [1.0], [0, 0])
    )
    found = judged(reference, {"constant": [500], "silent": [0] * 10, "new": [250, 250]})
    assert [v.explanation.partition(": ")[2] for v in found.values()] == [
        "nothing to compare: all rows are in one bin",
        "nothing to compare: no rows in the window",
        "nothing to compare: no rows in the reference",
    ]
    assert not any(v.exceeds or v.degrees for v in found.values())


def test_a_window_over_other_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256:other"):
        drift.judge(monitored.reference(stable("size")), monitored.window(digest="sha256:other"), {}, "t1")


def test_the_worst_come_first() -> None:
    reference = monitored.reference(*(stable(name) for name in "abcd"))
    more = [20, 20, 40, 60, 90, 90, 120, 150, 170, 240]
    found = judged(reference, {"a": [100] * 10, "b": MOVED, "c": more, "d": MOVED}, streaks={"d": Streak("t0", 3)})
    assert [v.name for v in drift.worst(found.values(), 3)] == ["d", "c", "b"]


def test_a_stationary_stream_raises_no_alarm_and_a_shift_does() -> None:
    """The bench measures the rates; this keeps the rule from going blind or mad."""
    random = np.random.default_rng(4)
    rows = random.normal(size=(2000, 20))
    edges = np.quantile(rows, np.arange(1, 10) / 10, axis=0).T

    def binned(values: np.ndarray, index: int) -> list[int]:
        bins = np.searchsorted(edges[index], values, side="right")
        return [int(count) for count in np.bincount(bins, minlength=10)]

    columns = [monitored.numbers(f"x{i}", edges[i].tolist(), binned(rows[:, i], i)) for i in range(20)]
    reference, streaks = monitored.reference(*columns), {}
    for number in range(30):
        values = random.normal(size=(1000, 20)) + np.where((np.arange(20) == 3) & (number >= 20), 0.5, 0.0)
        window = monitored.window(*(monitored.column(f"x{i}", binned(values[:, i], i)) for i in range(20)))
        verdicts = drift.judge(reference, window, streaks, str(number))
        streaks = drift.streaks_of(verdicts)
        assert [v.name for v in verdicts if v.drifted] == (["x3"] if number >= 21 else [])
