"""Rows that differ, by hand-made answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve.splitting.agreement import ENOUGH, MAX_BYTES, Agreement, Answer, Spread
from tests.unit.runtime.serve.splitting.test_mirroring import body_of, tensor

DEFAULTS = ("predict",)


def answer(*outputs: dict[str, Any]) -> Answer:
    return Answer((), body_of(*outputs))


def v1(predictions: list[Any]) -> Answer:
    return Answer((), json.dumps({"predictions": predictions}).encode())


def compare(stable: Answer, candidate: Answer, tolerance: float = 0.001) -> tuple[int, int]:
    return Agreement(tolerance).compare(stable, candidate, DEFAULTS)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), min_size=1, max_size=5))
def test_a_spread_is_that_of_all_numbers_whatever_parts_they_come_in(parts: list[list[float]]) -> None:
    spread = Spread()
    for part in parts:
        spread.add(np.array(part))
    numbers = [number for part in parts for number in part]
    expected = np.std(numbers, ddof=1) if len(numbers) > 1 else 0.0
    assert spread.count == len(numbers)
    assert spread.deviation == pytest.approx(expected, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize(
    ("stable", "candidate", "expected"),
    [
        (["a", "b", "c"], ["a", "x", "c"], (3, 1)),
        ([1, 2], [1, 2], (2, 0)),
        ([True, False], [False, False], (2, 1)),
        (["a", "b"], ["a"], (2, 2)),
    ],
)
def test_labels_have_to_be_equal(stable: list[Any], candidate: list[Any], expected: tuple[int, int]) -> None:
    assert (
        compare(answer(tensor("predict", stable, "BYTES")), answer(tensor("predict", candidate, "BYTES"))) == expected
    )
    assert compare(v1(stable), v1(candidate)) == expected


def numbers(*others: float | None) -> list[float | None]:
    """With enough before them to know that the standard deviation is about 1."""
    return [float(value) for value in np.random.default_rng(0).standard_normal(1000)] + list(others)


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "differ"),
    [
        (1.0, 1.0009, 0.001, 0),
        (1.0, 1.0012, 0.001, 1),
        (1.0, 1.05, 0.1, 0),
        (1e5, 1e5 * (1 + 1e-7), 1e-9, 0),
        (1e5, 1e5 * (1 + 1e-7), 0.0, 1),
        (None, None, 0.001, 0),
        (None, 1.0, 0.001, 1),
        (1.0, None, 0.001, 1),
    ],
)
def test_numbers_may_differ_by_a_share_of_the_standard_deviation(
    one: float | None, other: float | None, tolerance: float, differ: int
) -> None:
    agreement = Agreement(tolerance)
    known = answer(tensor("predict", numbers()))
    assert agreement.compare(known, known, DEFAULTS) == (1000, 0)
    assert agreement.compare(answer(tensor("predict", [one])), answer(tensor("predict", [other])), DEFAULTS) == (
        1,
        differ,
    )


def test_numbers_are_not_compared_before_it_is_known_how_much_they_vary() -> None:
    agreement = Agreement(0.001)
    for _ in range(ENOUGH - 1):
        assert agreement.compare(v1([1.0]), v1([2.0]), DEFAULTS) == (0, 0)
    assert agreement.compare(v1([1.0]), v1([2.0]), DEFAULTS) == (1, 1)


def test_a_row_of_several_numbers_differs_once() -> None:
    shape = [100, 2]
    stable = [float(value) for value in range(200)]
    candidate = [*stable[:-4], 0.0, 0.0, 0.0, stable[-1]]
    given = answer(tensor("predict", stable, shape=shape)), answer(tensor("predict", candidate, shape=shape))
    assert compare(*given) == (100, 2)
    pairs = [[list(pair) for pair in zip(values[::2], values[1::2], strict=True)] for values in (stable, candidate)]
    assert compare(v1(pairs[0]), v1(pairs[1])) == (100, 2)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_values_may_be_nested_by_dimension(width: int) -> None:
    """As the protocol allows, and an image of the user's own may do."""
    stable = [float(value) for value in range(100 * width)]
    nested = [stable[start : start + width] for start in range(0, len(stable), width)]
    nested[0] = [value + 1000 for value in nested[0]]
    given = tensor("predict", stable, shape=[100, width]), tensor("predict", nested, shape=[100, width])
    assert compare(answer(given[0]), answer(given[1])) == (100, 1)


def test_an_answer_of_other_rows_that_are_wider_disagrees() -> None:
    given = tensor("predict", [0.0] * 40), tensor("predict", [[0.0, 1.0, 2.0]] * 40, shape=[40, 3])
    assert compare(answer(given[0]), answer(given[1])) == (40, 40)


def test_the_default_outputs_are_compared_and_others_only_without_them() -> None:
    label, other = tensor("predict", ["a"], "BYTES"), tensor("predict", ["b"], "BYTES")
    one, two = tensor("site", ["x"], "BYTES"), tensor("site", ["y"], "BYTES")
    token, another = tensor("feedback_token", ["t1"], "BYTES"), tensor("feedback_token", ["t2"], "BYTES")
    assert compare(answer(label, one, token), answer(label, two, another)) == (1, 0)
    assert compare(answer(label, one), answer(other, one)) == (1, 1)
    assert compare(answer(one, token), answer(two, another)) == (1, 1)
    assert compare(answer(token), answer(another)) == (0, 0)
    assert compare(answer(label), answer(one)) == (1, 1), "the candidate has no such output"


def test_objects_of_v1_are_compared_by_their_names() -> None:
    stable = [{"predict": "a", "other": 1}, {"predict": "b", "other": 2}]
    candidate = [{"other": 1, "predict": "a"}, {"other": 2, "predict": "c"}]
    assert compare(v1(stable), v1(candidate)) == (2, 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"outputs": 1}', b'{"outputs": []}', b'{"predictions": [[1, 2], [3]]}', b"\xff"],
)
def test_what_is_no_answer_disagrees_with_one_and_is_nothing_to_compare_with(content: bytes) -> None:
    label = answer(tensor("predict", ["a", "b"], "BYTES"))
    assert compare(label, Answer((), content)) == (2, 2)
    assert compare(Answer((), content), label) == (0, 0)
    packed = ((b"content-encoding", b"gzip"),)
    assert compare(label, Answer(packed, content)) == (2, 2)


def test_answers_that_take_long_to_read_are_not_compared() -> None:
    large = v1(["x" * MAX_BYTES])
    assert compare(large, large) == (0, 0)
