from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import current_thread, main_thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mainspring_runtime.serve import server
from mainspring_runtime.serve.executing import SHORT_SECONDS, ShortCallsAtOnce
from mainspring_runtime.serve.predicting import Outputs, Predicted
from mainspring_runtime.serve.tables import Table
from tests.unit.runtime.serve.fakes import SumPredictor

PREDICT = ("predict",)


class Calls:
    """Predictions that take as long as the test says; `at_once` tells where each of them ran."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self.executor = ShortCallsAtOnce(thread, lambda: self.now)
        self.now = 0.0
        self.takes = SHORT_SECONDS / 10
        self.at_once: list[bool] = []
        self.error: BaseException | None = None

    def predict(self, tables: Sequence[Table], outputs: Outputs) -> Predicted:
        self.at_once.append(current_thread() is main_thread())
        self.now += self.takes
        if self.error is not None:
            raise self.error
        return Predicted([], tables)

    def run(self, *rows: int) -> bool:
        """Whether the call ran at once."""
        tables = [Table(count, np.zeros((count, 1))) for count in rows]
        found = self.executor.submit(self.predict, tables, PREDICT)
        if self.error is None:
            assert found.result().parts == tables
        else:
            assert found.exception() is self.error
        return self.at_once[-1]


@pytest.fixture
def calls() -> Iterator[Calls]:
    with ThreadPoolExecutor(1) as thread:
        yield Calls(thread)


def test_a_call_of_unknown_length_runs_in_the_thread_and_a_short_one_at_once_from_then_on(calls: Calls) -> None:
    assert [calls.run(1), calls.run(1), calls.run(1)] == [False, True, True]


def test_each_size_is_learnt_alone(calls: Calls) -> None:
    calls.run(1)
    assert [calls.run(2, 3), calls.run(4), calls.run(7), calls.run(8)] == [False, True, True, False]


def test_a_long_call_stays_in_the_thread(calls: Calls) -> None:
    calls.takes = SHORT_SECONDS
    assert [calls.run(1), calls.run(1)] == [False, False]


def test_a_call_that_becomes_long_goes_to_the_thread_and_comes_back(calls: Calls) -> None:
    calls.run(1)
    calls.takes = SHORT_SECONDS * 20
    assert [calls.run(1), calls.run(1)] == [True, False], "one call at most is a surprise"
    calls.takes = 0
    assert True in [calls.run(1) for _ in range(50)]


def test_only_models_that_do_nothing_but_compute_run_at_once() -> None:
    predictor = SumPredictor()
    with ThreadPoolExecutor(1) as thread:
        parts: Any = SimpleNamespace(executor=thread)
        assert server._executor(parts, predictor) is thread
        predictor.only_computes = True
        assert isinstance(server._executor(parts, predictor), ShortCallsAtOnce)


class Crash(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("bad"), Crash()])
def test_an_exception_is_in_the_future_wherever_it_was_raised(calls: Calls, error: BaseException) -> None:
    calls.run(1)
    calls.error = error
    assert calls.run(1)
    calls.error = None
    assert calls.run(1)
