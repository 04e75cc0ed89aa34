from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.model.encoding import FLOAT32_MAX, CategorySource, Encoding, NumericSource, times

STAGES = CategorySource("stage", ("", "I", "II"))
ENCODING = Encoding(
    numeric=(NumericSource("age"), NumericSource("epoch", 1_700_000_000.0), NumericSource("seen", part="hour")),
    indicators=(0,),
    categories=(STAGES, CategorySource("city", ("b", "a"), 2.0)),
)
COLUMNS = {
    "age": np.array([63.5, np.nan]),
    "epoch": np.array([1_700_000_123, 1_700_000_001], dtype=np.int64),
    "seen": np.array(["2024-02-29T18:30:00Z", ""], dtype=object),
    "stage": np.array(["II", ""], dtype=object),
    "city": np.array(["a", "elsewhere"], dtype=object),
}


def test_the_matrix_lists_numbers_then_missing_flags_then_codes() -> None:
    expected = [[63.5, 123, 18.5, 0, 2, 1], [np.nan, 1, np.nan, 1, 0, 2]]
    np.testing.assert_array_equal(ENCODING.matrix(COLUMNS), expected)
    assert ENCODING.width == 6


def test_the_blocks_for_onnx_are_float32_and_strings() -> None:
    numbers, strings = ENCODING.numbers(COLUMNS), ENCODING.strings(COLUMNS)
    assert numbers.dtype == np.float32
    assert numbers.flags.c_contiguous
    assert strings.tolist() == [["II", "a"], ["", "elsewhere"]]


def test_an_encoding_survives_json() -> None:
    assert Encoding.from_dict(json.loads(json.dumps(ENCODING.to_dict()))) == ENCODING


def test_an_offset_keeps_what_float32_would_lose() -> None:
    near = {"epoch": np.array([1_700_000_000, 1_700_000_001], dtype=np.int64)}
    plain = Encoding((NumericSource("epoch"),)).numbers(near)
    shifted = Encoding((NumericSource("epoch", 1_700_000_000.0),)).numbers(near)
    assert plain[0] == plain[1]
    assert shifted[0] != shifted[1]


def test_numbers_beyond_float32_are_clipped_so_that_both_paths_see_the_same() -> None:
    clipped = Encoding((NumericSource("age"),)).matrix({"age": np.array([1e300, -1e300, np.nan])})
    np.testing.assert_array_equal(clipped[:, 0], [FLOAT32_MAX, -FLOAT32_MAX, np.nan])


@pytest.mark.parametrize(
    ("part", "value"), [("days", 19782 + 18.5 / 24), ("hour", 18.5), ("weekday", 3.0), ("dayOfYear", 59.0)]
)
def test_a_time_is_taken_apart(part: str, value: float) -> None:
    encoding = Encoding((NumericSource("seen", part=part),))
    assert encoding.numbers(COLUMNS)[0, 0] == pytest.approx(value, rel=1e-6)


def test_times_with_an_offset_become_utc() -> None:
    assert times(["2024-03-01T01:30:00+02:00"])[0] == np.datetime64("2024-02-29T23:30:00", "us")


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        times(["yesterday"])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=20))
def test_scikit_learn_never_sees_a_number_that_onnx_cannot_hold(values: list[float]) -> None:
    encoding, columns = Encoding((NumericSource("x"),)), {"x": np.array(values)}
    np.testing.assert_array_equal(encoding.matrix(columns), encoding.numbers(columns).astype(np.float64))
