from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mainspring_runtime.serve.batching import Batcher, Failed
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.predicting import Answer, Outputs, Predicted, Result
from mainspring_runtime.serve.tables import Table
from tests.unit.runtime.serve.fakes import LIMITS, HeldExecutor

PREDICT = ("predict",)
PROBA = ("predict_proba",)


def table(value: float, rows: int = 1) -> Table:
    return Table(rows, np.full((rows, 1), value))


def echo(tables: Sequence[Table], outputs: Outputs) -> Predicted:
    """Answers with the value that came; a value below zero fails the whole call."""
    if any((part.floats < 0).any() for part in tables):
        raise ValueError("below zero")
    answers = [[Result(outputs[0], "FP64", part.floats.ravel())] for part in tables]
    return Predicted(answers, tables)


class Bench:
    """A batcher whose predictions end when the test says so, in the virtual time of the loop."""

    def __init__(self, **limits: Any) -> None:
        self.executor = HeldExecutor()
        self.tallies = Tallies()
        loop = asyncio.get_running_loop()
        self.skew = 0.0  # by which the clock runs ahead of the timers of the loop
        self.observed: list[tuple[list[float], list[bool]]] = []  # first values of a call, and who got an answer
        self.batcher = Batcher(
            echo, self.executor, replace(LIMITS, **limits), self.tallies, lambda: loop.time() + self.skew, self._observe
        )

    def _observe(self, predicted: Predicted, answered: Sequence[bool]) -> None:
        self.observed.append(([part.floats[0, 0] for part in predicted.parts], list(answered)))

    async def submit(self, value: float, rows: int = 1, outputs: Outputs = PREDICT) -> asyncio.Future[Answer | Failed]:
        future = self.batcher.submit(table(value, rows), outputs)
        await asyncio.sleep(0)  # the next turn of the loop, in which an idle batcher starts
        return future

    @property
    def batches(self) -> list[list[float]]:
        """The first value of each table, by call of the predictor."""
        return [[part.floats[0, 0] for part in call[1]] for call in self.executor.calls]


def value_of(future: asyncio.Future[Answer | Failed]) -> float:
    answer = future.result()
    assert not isinstance(answer, Failed)
    return float(answer[0].values[0])


def error_of(future: asyncio.Future[Answer | Failed]) -> BaseException:
    answer = future.result()
    assert isinstance(answer, Failed)
    return answer.error


async def test_an_idle_server_predicts_at_once() -> None:
    bench = Bench()
    first = await bench.submit(1)
    assert bench.batches == [[1]]
    await bench.executor.complete()
    assert value_of(first) == 1


async def test_requests_of_one_turn_share_the_first_batch() -> None:
    bench = Bench()
    bench.batcher.submit(table(1), PREDICT)
    bench.batcher.submit(table(2), PREDICT)
    await asyncio.sleep(0)
    assert bench.batches == [[1, 2]]


async def test_what_queued_during_a_prediction_is_the_next_batch() -> None:
    bench = Bench()
    futures = [await bench.submit(value) for value in (1, 2, 3)]
    assert bench.batches == [[1]]
    await bench.executor.complete()
    assert bench.batches == [[1], [2, 3]]
    await bench.executor.complete()
    assert [value_of(future) for future in futures] == [1, 2, 3]
    assert len(bench.executor.calls) == 2, "nothing runs without requests"


async def test_a_batch_stops_at_its_rows_but_a_large_request_goes_alone() -> None:
    bench = Bench(batch_rows=4)
    for value, rows in ((0, 1), (1, 3), (2, 2), (3, 1), (4, 9), (5, 1)):
        await bench.submit(value, rows)
    for _ in range(3):
        await bench.executor.complete()
    assert bench.batches == [[0], [1, 3], [2, 5], [4]]


async def test_only_requests_for_the_same_outputs_share_a_batch() -> None:
    bench = Bench()
    for value, outputs in ((0, PREDICT), (1, PROBA), (2, PREDICT), (3, PROBA)):
        await bench.submit(value, outputs=outputs)
    for _ in range(3):
        await bench.executor.complete()
    assert bench.batches == [[0], [1, 3], [2]]
    assert [call[2] for call in bench.executor.calls] == [PREDICT, PROBA, PREDICT]


async def test_a_request_that_fails_takes_no_other_with_it() -> None:
    bench = Bench()
    futures = [await bench.submit(value) for value in (0, 1, -2, 3)]
    for _ in range(5):
        await bench.executor.complete()
    assert bench.batches == [[0], [1, -2, 3], [1], [-2], [3]], "the batch is taken apart, in order"
    assert [value_of(future) for future in (futures[0], futures[1], futures[3])] == [0, 1, 3]
    assert str(error_of(futures[2])) == "below zero"


async def test_while_a_failed_batch_is_tried_one_by_one_newer_requests_wait() -> None:
    bench = Bench()
    for value in (0, 1, -2):
        await bench.submit(value)
    await bench.executor.complete()
    await bench.submit(4)
    for _ in range(3):
        await bench.executor.complete()
    assert bench.batches == [[0], [1, -2], [1], [-2], [4]]


async def test_a_full_queue_refuses_and_says_when_to_retry() -> None:
    bench = Bench(queue_requests=2)
    for value in (0, 1, 2):
        await bench.submit(value)
    with pytest.raises(RequestError, match=r"the queue is full \(2 requests, 2 rows\)") as caught:
        await bench.submit(3)
    assert (caught.value.status, caught.value.headers) == (503, ((b"retry-after", b"1"),))
    await bench.executor.complete()
    await bench.submit(4)
    await bench.executor.complete()
    assert bench.batches == [[0], [1, 2], [4]]


async def test_rows_fill_the_queue_too_but_one_request_always_fits() -> None:
    bench = Bench(queue_rows=10)
    await bench.submit(0)
    await bench.submit(1, rows=11)
    with pytest.raises(RequestError, match=r"the queue is full \(1 requests, 11 rows\)"):
        await bench.submit(2)
    await bench.executor.complete()
    await bench.submit(3)
    await bench.submit(4, rows=9)
    with pytest.raises(RequestError, match="the queue is full"):
        await bench.submit(5)


@pytest.mark.looptime
async def test_a_request_that_waited_too_long_is_told_so_and_never_predicted() -> None:
    bench = Bench(request_seconds=5.0)
    running = await bench.submit(1)
    await asyncio.sleep(2)
    queued = await bench.submit(2)
    await asyncio.sleep(2.9)
    assert not running.done()
    await asyncio.sleep(0.2)
    assert "no answer within 5 s" in str(error_of(running))
    assert not queued.done()
    await asyncio.sleep(2)
    late = error_of(queued)
    assert isinstance(late, RequestError)
    assert late.status == 503
    fresh = await bench.submit(3)
    await bench.executor.complete()
    await bench.executor.complete()
    assert bench.batches == [[1], [3]]
    assert value_of(fresh) == 3


@pytest.mark.looptime
async def test_whoever_counts_is_told_which_requests_were_answered() -> None:
    bench = Bench(request_seconds=5.0)
    futures = [bench.batcher.submit(table(1), PREDICT), bench.batcher.submit(table(2), PREDICT)]
    await asyncio.sleep(0)
    futures[1].cancel()
    queued = await bench.submit(3)
    await bench.executor.complete()
    assert bench.observed == [([1, 2], [True, False])]
    assert bench.batches == [[1, 2], [3]], "the next call did not wait for it"
    await asyncio.sleep(6)
    await bench.executor.complete()
    assert isinstance(error_of(queued), RequestError)
    assert bench.observed[1:] == [([3], [False])]


async def test_whoever_counts_is_not_told_of_a_call_that_failed() -> None:
    bench = Bench()
    for value in (-1, 2):
        bench.batcher.submit(table(value), PREDICT)
    await asyncio.sleep(0)
    for _ in range(3):
        await bench.executor.complete()
    assert bench.observed == [([2], [True])]


@pytest.mark.looptime
async def test_deadlines_hold_whatever_the_order_of_the_batches() -> None:
    bench = Bench(request_seconds=5.0, batch_rows=2)
    await bench.submit(0)
    passed = await bench.submit(1, rows=2)
    await asyncio.sleep(1)
    newer = await bench.submit(2)
    await bench.executor.complete()
    await asyncio.sleep(4.1)
    assert isinstance(passed.result(), Failed)
    assert not newer.done()
    await asyncio.sleep(1)
    assert isinstance(newer.result(), Failed)


@pytest.mark.looptime
async def test_an_idle_batcher_leaves_no_timer_behind(looptime: Any) -> None:
    bench = Bench(request_seconds=5.0)
    await bench.submit(1)
    await bench.executor.complete()
    await asyncio.sleep(20)
    assert bench.batcher._deadline is None
    await asyncio.wait([await bench.submit(2)])
    assert looptime == pytest.approx(25, abs=0.01), "a later request has a deadline again"


@pytest.mark.looptime
async def test_queueing_and_batch_size_are_measured() -> None:
    bench = Bench()
    await bench.submit(0)
    await bench.submit(1, rows=3)
    await asyncio.sleep(1.5)
    await bench.executor.complete()
    assert bench.tallies.queue_seconds.total == pytest.approx(1.5, abs=0.01)
    assert sum(bench.tallies.queue_seconds.counts) == 2
    assert bench.tallies.batch_rows.total == 4


async def test_a_caller_that_went_away_is_not_predicted() -> None:
    bench = Bench()
    await bench.submit(0)
    gone = await bench.submit(1)
    await bench.submit(2)
    gone.cancel()
    await bench.executor.complete()
    assert bench.batches == [[0], [2]]


async def test_rows_of_callers_that_went_away_make_room_again() -> None:
    bench = Bench(queue_rows=10)
    await bench.submit(0)
    (await bench.submit(1, rows=10)).cancel()
    await bench.executor.complete()
    await bench.submit(2)
    await bench.submit(3, rows=4)
    await bench.submit(4, rows=6)
    await bench.executor.complete()
    assert bench.batches == [[0], [2], [3, 4]]


@pytest.mark.looptime
async def test_who_went_away_holds_no_place_in_a_full_queue() -> None:
    bench = Bench(queue_requests=2, queue_rows=10)
    await bench.submit(0)
    gone = [await bench.submit(1, rows=5), await bench.submit(2, rows=5)]
    for answer in gone:
        bench.batcher.leave(answer)
    await bench.submit(3, rows=6)
    await bench.submit(4, rows=4)
    with pytest.raises(RequestError, match=r"the queue is full \(2 requests, 10 rows\)"):
        await bench.submit(5)
    await bench.executor.complete()
    assert bench.batches == [[0], [3, 4]]
    error = error_of(gone[0])
    assert isinstance(error, RequestError)
    assert error.status == 499


async def test_leaving_after_the_answer_changes_nothing() -> None:
    bench = Bench()
    answer = await bench.submit(1)
    await bench.executor.complete()
    bench.batcher.leave(answer)
    assert value_of(answer) == 1


async def learned(bench: Bench, rows: int, seconds: float) -> None:
    """One call that took so long, on a batcher that has nothing else to do."""
    await bench.submit(0, rows)
    await asyncio.sleep(seconds)
    await bench.executor.complete()
    bench.executor.calls.clear()


@pytest.mark.looptime
async def test_a_request_whose_time_is_up_never_enters_a_batch() -> None:
    bench = Bench(request_seconds=5.0)
    await bench.submit(0)
    queued = await bench.submit(1)
    bench.skew = 5.0  # the time is up, and the timer has not fired yet
    await bench.submit(2)
    await bench.executor.complete()
    assert bench.batches == [[0], [2]]
    assert "no answer within 5 s" in str(error_of(queued))


@pytest.mark.looptime
async def test_a_batch_is_not_grown_when_its_oldest_would_miss_its_deadline() -> None:
    bench = Bench(request_seconds=5.0)
    await learned(bench, rows=4, seconds=4.0)
    await bench.submit(0)
    queued = [await bench.submit(value) for value in range(1, 8)]
    await asyncio.sleep(1.5)
    await bench.executor.complete()  # 3.5 s are left, at about one a row
    assert bench.batches == [[0], [1, 2, 3]]
    await asyncio.sleep(3.0)
    await bench.executor.complete()
    assert [value_of(answer) for answer in queued[:3]] == [1, 2, 3]


@pytest.mark.looptime
async def test_with_time_enough_a_batch_is_as_large_as_ever() -> None:
    bench = Bench(request_seconds=5.0, batch_rows=8)
    await learned(bench, rows=4, seconds=1.0)
    for value in range(9):
        await bench.submit(value)
    await asyncio.sleep(0.1)
    await bench.executor.complete()
    assert bench.batches[1] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.looptime
async def test_who_can_be_answered_in_time_goes_before_who_cannot() -> None:
    bench = Bench(request_seconds=5.0)
    await learned(bench, rows=1, seconds=1.0)
    await bench.submit(0)
    late = await bench.submit(1)
    await asyncio.sleep(2.5)
    fresh = await bench.submit(2)
    await asyncio.sleep(2.0)
    await bench.executor.complete()
    assert bench.batches == [[0], [2]], "half a second is not enough for the older one"
    await asyncio.sleep(1.0)
    assert "no answer within 5 s" in str(error_of(late))
    await bench.executor.complete()
    assert value_of(fresh) == 2


@pytest.mark.looptime
async def test_when_nobody_can_be_answered_in_time_the_oldest_go_all_the_same() -> None:
    bench = Bench(request_seconds=5.0)
    await learned(bench, rows=1, seconds=100.0)
    for value in (1, 2):
        bench.batcher.submit(table(value), PREDICT)
    await asyncio.sleep(0)
    assert bench.batches == [[1, 2]], "only a call can tell that the model is fast again"


OVERLOAD_SECONDS = 60


@pytest.mark.looptime
async def test_under_twice_the_load_as_many_are_answered_as_the_model_can_take() -> None:
    """Strictly in order, hardly one in ten would be answered: each would be just too late by the time of its turn."""
    bench = Bench(request_seconds=5.0)
    answers = []

    async def call() -> None:
        for _ in range(2 * OVERLOAD_SECONDS):
            answers.append(bench.batcher.submit(table(1), PREDICT))
            await asyncio.sleep(0.5)

    calling = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    while not calling.done():
        await asyncio.sleep(0.99 * sum(part.rows for part in bench.executor.calls[-1][1]))  # a second for each row
        await bench.executor.complete()
    in_time = sum(answer.done() and not isinstance(answer.result(), Failed) for answer in answers)
    assert in_time > 0.8 * OVERLOAD_SECONDS, in_time


@pytest.mark.looptime
async def test_a_full_queue_says_when_it_will_be_empty() -> None:
    bench = Bench(queue_requests=3)
    await learned(bench, rows=2, seconds=3.9)
    for value in range(4):
        await bench.submit(value)
    with pytest.raises(RequestError) as caught:
        await bench.submit(5)
    assert caught.value.headers == ((b"retry-after", b"6"),), "three rows, at two seconds each"


@pytest.mark.looptime
async def test_while_a_prediction_does_not_end_callers_are_told_at_once() -> None:
    bench = Bench(request_seconds=5.0)
    await bench.submit(1)
    await asyncio.sleep(14.9)
    assert bench.batcher.stuck() is None
    await asyncio.sleep(0.2)
    assert bench.batcher.stuck() == "a prediction of 1 rows has been running for 15 s"
    with pytest.raises(RequestError, match="a prediction of 1 rows has been running for 15 s") as caught:
        await bench.submit(2)
    assert caught.value.status == 503
    await bench.executor.complete()
    assert bench.batcher.stuck() is None, "it ended after all"
    fresh = await bench.submit(3)
    await bench.executor.complete()
    assert value_of(fresh) == 3


class Unlike(BaseException):
    """Something that no list of exceptions would name."""


async def test_any_exception_of_a_model_arrives_as_a_value_from_its_own_thread() -> None:
    threads: list[str] = []

    def explode(tables: Sequence[Table], outputs: Outputs) -> Predicted:
        threads.append(threading.current_thread().name)
        raise Unlike

    with ThreadPoolExecutor(1, thread_name_prefix="predict") as executor:
        batcher = Batcher(explode, executor, LIMITS, Tallies())
        for _ in range(2):
            assert isinstance(error_of_value(await batcher.submit(table(1), PREDICT)), Unlike)
    assert threads == ["predict_0", "predict_0"]


def error_of_value(answer: Answer | Failed) -> BaseException:
    assert isinstance(answer, Failed)
    return answer.error
