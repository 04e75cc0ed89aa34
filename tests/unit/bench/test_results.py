"""Rounds to medians, ratios and goals."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.bench.serving import results
from tests.bench.serving.results import KSERVE, MLSERVER, ONNX, SKLEARN, Goal, Measured, Sample

LOGISTIC, FOREST = "logistic regression", "forest of 100 trees"


def measured(server: str, rates: Sequence[float], *, model: str = LOGISTIC, ready: float = 1.0) -> Measured:
    samples = [Sample(rate, p50_ms=1e3 / rate, p99_ms=2e3 / rate, cpu_us=1e6 / rate) for rate in rates]
    return Measured(model, server, samples, ready, resident_mib=100.0)


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    """The second round was slow for both; dividing the medians would give 5."""
    ours, theirs = measured(ONNX, [100, 50, 100]), measured(KSERVE, [10, 5, 20])
    assert results.ratios(ours, theirs).rate == 10


def test_more_is_better_for_rate_and_cpu_and_less_for_all_others() -> None:
    found = results.ratios(measured(ONNX, [100], ready=0.5), measured(KSERVE, [10], ready=2.0))
    assert [found.rate, found.cpu] == pytest.approx([10, 10])
    assert [found.p99, found.ready, found.resident] == pytest.approx([0.1, 0.25, 1.0])


def test_rounds_that_were_not_measured_side_by_side_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        results.ratios(measured(ONNX, [1, 2]), measured(KSERVE, [1]))


def test_only_our_servers_are_compared_and_only_with_the_others() -> None:
    group = [measured(name, [10]) for name in (ONNX, SKLEARN, KSERVE, MLSERVER)]
    assert {name: set(its) for name, its in results.compared(group).items()} == {
        ONNX: {KSERVE, MLSERVER},
        SKLEARN: {KSERVE, MLSERVER},
    }


def test_every_row_has_as_many_cells_as_there_are_columns() -> None:
    found = [measured(name, [10], model=model) for model in (LOGISTIC, FOREST) for name in (ONNX, KSERVE, MLSERVER)]
    rows = results.rows(found)
    assert [len(row) for row in rows] == [len(results.COLUMNS)] * 6
    assert rows[0][-4:] == ("1.0", "1.0", "1.0", "1.0")
    assert rows[1][-4:] == ("", "", "", "")


def test_models_are_not_compared_with_each_other() -> None:
    found = [measured(ONNX, [10], model=LOGISTIC), measured(KSERVE, [10], model=FOREST)]
    assert [row[-4:] for row in results.rows(found)] == [("", "", "", "")] * 2


def test_the_report_is_json_with_rounds_medians_and_ratios() -> None:
    [ours, theirs] = json.loads(
        json.dumps(results.as_json([measured(ONNX, [10, 20, 60]), measured(KSERVE, [1, 2, 3])]))
    )
    assert ours["medians"]["rate"] == 20
    assert len(ours["samples"]) == 3
    assert ours["ratios"][KSERVE]["rate"] == 10
    assert theirs["ratios"] == {}


def test_forests_have_goals_of_their_own() -> None:
    found = [measured(name, [100], model=FOREST) for name in (ONNX, SKLEARN)] + [measured(KSERVE, [10], model=FOREST)]
    wanted = {goal.name: (goal.wanted, goal.met) for goal in results.goals(found)}
    assert wanted[f"{FOREST}: RPS, ONNX"] == (60, False)
    assert wanted[f"{FOREST}: RPS, scikit-learn"] == (8, True)


def test_the_start_is_judged_by_the_median_over_the_models() -> None:
    found = [measured(ONNX, [1], ready=ready) for ready in (0.4, 0.5, 9.0)]
    found += [measured(KSERVE, [1], ready=ready) for ready in (1.0, 2.0, 3.0)]
    [goal] = results.ready_goals(found)
    assert (goal.found, goal.met) == (0.25, True)


def test_there_are_no_goals_without_the_other_server() -> None:
    assert results.goals([measured(ONNX, [10])]) == []


def test_a_goal_says_in_which_direction_it_is_missed() -> None:
    assert Goal("g", 10, 9).row() == ("g", "≥ 10", 9, "NO")
    assert Goal("g", 10, 9, at_least=False).row() == ("g", "≤ 10", 9, "yes")
