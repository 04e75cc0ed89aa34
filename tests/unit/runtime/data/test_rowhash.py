"""The row hash: fixed for ever, equal for equal values, even over 64 bits."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mainspring_runtime.data.rowhash import Words, hash_rows


def hashes(*columns: Any) -> Words:
    return hash_rows(
        pa.record_batch({f"c{index}": column for index, column in enumerate(columns)}),
        [f"c{index}" for index in range(len(columns))],
    )


def reference(word: int, state: int = 0) -> int:
    """SplitMix64's finaliser in plain integers, as in the paper."""
    state = ((state ^ word) + 0x9E3779B97F4A7C15) % 2**64
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
    return state ^ (state >> 31)


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (pa.array([1], pa.int64()), struct.unpack("<Q", struct.pack("<d", 1.0))[0]),
        (pa.array([0.5]), struct.unpack("<Q", struct.pack("<d", 0.5))[0]),
        (pa.array([-(2**62) - 1]), 2**64 - 2**62 - 1),
        (pa.array(["row-1"]), int.from_bytes(hashlib.blake2b(b"row-1", digest_size=8).digest(), "little")),
        (pa.array([None], pa.string()), struct.unpack("<Q", struct.pack("<d", float("nan")))[0]),
    ],
)
def test_the_algorithm_is_the_documented_one(array: Any, word: int) -> None:
    assert hashes(array)[0] == reference(word)
    assert hashes(array, array)[0] == reference(word, reference(word))


def test_known_values() -> None:
    """If one of these changes, every row of every dataset changes sides: ALGORITHM must change with it."""
    assert hashes(pa.array([1, 2])).tolist() == [9860564707913756141, 47939714376772075]
    assert hashes(pa.array(["row-1", "row-2"])).tolist() == [6693578938194045362, 10217214032360531929]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1, -7, 2**40, None]), pa.array([1.0, -7.0, 2.0**40, None])),
        (pa.array([0.0]), pa.array([-0.0])),
        (pa.array([True, False]), pa.array([1, 0])),
        (pa.array(["a", "b", None]), pa.array(["b", "a", None, "a"]).take([1, 0, 2])),
        (pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")), pa.array([1767225600000000])),
    ],
)
def test_equal_values_hash_equally(one: Any, other: Any) -> None:
    assert hashes(one).tolist() == hashes(other).tolist()


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2**62, 2**62 + 1, 2**62 + 2, None, 0]),
        pa.array(["", None, "a", "A", "a "]),
        pa.array([0.1, np.nextafter(0.1, 1), 0.0, None, 1e300]),
    ],
)
def test_different_values_hash_differently(array: Any) -> None:
    assert len(set(hashes(array).tolist())) == len(array)


def test_a_value_does_not_depend_on_its_neighbours() -> None:
    """A missing value beside it must not turn a large integer into a rounded float."""
    large = 2**62 + 1
    assert hashes(pa.array([large, None]))[0] == hashes(pa.array([large, 5]))[0]


def test_the_order_of_columns_counts() -> None:
    assert hashes(pa.array([1]), pa.array([2]))[0] != hashes(pa.array([2]), pa.array([1]))[0]
    assert hashes(pa.array([1]), pa.array([1]))[0] != hashes(pa.array([2]), pa.array([2]))[0]


@pytest.mark.parametrize(
    "array", [pa.array(range(100_000)), pa.array(np.arange(100_000) / 64), pa.array([f"id-{n}" for n in range(20_000)])]
)
def test_hashes_are_even_in_every_bit(array: Any) -> None:
    found = hashes(array)
    for bit in range(64):
        ones = int(((found >> np.uint64(bit)) & np.uint64(1)).sum())
        assert abs(ones - len(array) / 2) < 5 * np.sqrt(len(array)) / 2, bit
    counts = np.bincount((found >> np.uint64(58)).astype(int), minlength=64)
    expected = len(array) / 64
    # Chi-squared with 63 degrees of freedom exceeds 125 once in a million times.
    assert ((counts - expected) ** 2 / expected).sum() < 125
