"""What a window comes to, beside what the statistics say of it."""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.modelmonitor import evaluation
from mainspring.plan.modelmonitor.state import State
from mainspring.plan.modelmonitor.windows import Closed
from tests import monitored
from tests.builders import NOW

SPEC = ModelMonitorSpec(service="m")


def state(**fields: Any) -> State:
    return State(version="m-v1", digest=monitored.DIGEST, opened=objects.format_time(NOW), **fields)


def closed(low: int, high: int, name: str = "x", enough: bool = True, **more: Any) -> Closed:
    at = objects.format_time(NOW)
    return Closed(1, at, at, monitored.window(monitored.column(name, [low, high]), **more), enough)


def test_a_window_with_too_few_rows_neither_ends_a_streak_nor_adds_to_it() -> None:
    reference = monitored.reference(monitored.numbers("x", [1.0], [5000, 5000]))
    first = evaluation.evaluate(SPEC, state(), closed(100, 900), reference).state
    assert first.streaks["x"].windows == 1
    for quiet in (closed(50, 50, enough=False), closed(10, 90, enough=False)):
        assert evaluation.evaluate(SPEC, first, quiet, reference).state.streaks == first.streaks
    assert evaluation.evaluate(SPEC, first, closed(500, 500), reference).state.streaks == {}


def test_a_feature_may_be_called_prediction() -> None:
    reference = monitored.reference(
        monitored.numbers("prediction", [1.0], [5000, 5000]), prediction=monitored.probabilities([0.5], [5000, 5000])
    )
    window = closed(100, 900, "prediction", prediction=[900, 100])
    names = [feature.name for feature in evaluation.evaluate(SPEC, state(), window, reference).features]
    assert sorted(names) == ["prediction", "prediction (output)"]
