"""A stable 64-bit hash of the values in a row: which side of a split it is on, and where it stands in the file.

It depends on the values alone, not on the order of rows, the file format, other rows or the version of a library
(DuckDB's own `hash` may change with any release, and every row would change sides). Integers and floats that are equal
hash equally, so a column read as 1 from CSV and as 1.0 from Parquet stays where it was. Numbers enter as their IEEE 754
bits, strings as BLAKE2b-64, missing values as a NaN.

The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014): a bijection on 64 bits in which each input bit changes each output bit with probability near one half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Words: TypeAlias = npt.NDArray[np.uint64]
ALGORITHM = "splitmix64-blake2b-1"
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MISSING = np.array([np.nan]).view(np.uint64)[0]
EXACT_IN_FLOAT = 2**53


def hash_rows(batch: Any, names: Sequence[str]) -> Words:
    """A record batch of n rows → uint64[n], the hash of the columns `names`, whose order counts."""
    state = np.zeros(batch.num_rows, dtype=np.uint64)
    for name in names:
        state = _mix((state ^ _words(batch.column(name))) + GOLDEN)
    return state


def _mix(state: Words) -> Words:
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))


def _words(array: Any) -> Words:
    """One 64-bit word for each value of a float64, int64, bool, timestamp or string array."""
    if pa.types.is_string(array.type):
        return _text_words(array)
    if pa.types.is_timestamp(array.type) or pa.types.is_boolean(array.type):
        array = array.cast(pa.int64())
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    # Adding zero turns -0.0 into 0.0, which is the same number.
    words: Words = (values.astype(np.float64) + 0.0).view(np.uint64)
    if pa.types.is_integer(array.type):
        words = np.where(np.abs(values) > EXACT_IN_FLOAT, values.view(np.uint64), words)
    return np.where(np.asarray(array.is_null()), MISSING, words) if array.null_count else words


def _text_words(array: Any) -> Words:
    encoded = array.dictionary_encode()
    table = np.fromiter((_text_word(text.as_py()) for text in encoded.dictionary), np.uint64, len(encoded.dictionary))
    indices = pc.fill_null(encoded.indices, len(table)).to_numpy(zero_copy_only=False)
    words: Words = np.append(table, MISSING)[indices]
    return words


def _text_word(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
