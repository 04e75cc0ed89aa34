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

from mainspring.api.v1alpha1.dataset import ColumnType
from mainspring_runtime.data.engine import Connection, quoted

Words: TypeAlias = npt.NDArray[np.uint64]
ALGORITHM = "splitmix64-blake2b-1"
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MISSING = np.array([np.nan]).view(np.uint64)[0]
EXACT_IN_FLOAT = 2**53
TEXT_TYPES = (ColumnType.CATEGORY, ColumnType.STRING)


def register(connection: Connection, function: str, columns: Sequence[tuple[str, ColumnType]]) -> str:
    """Make the hash of `columns` available to SQL; returns the expression that computes it, a UBIGINT."""
    members = [f"c{index}" for index in range(len(columns))]
    struct = ", ".join(f"{member} {_sql_type(type_)}" for member, (_, type_) in zip(members, columns, strict=True))
    connection.create_function(
        function, hash_rows, [f"STRUCT({struct})"], "UBIGINT", type="arrow", null_handling="special"  # type: ignore[arg-type, list-item]
    )
    values = ", ".join(f"{member} := {_sql_value(*column)}" for member, column in zip(members, columns, strict=True))
    return f"{function}(struct_pack({values}))"


def hash_rows(struct: Any) -> Any:
    """A struct array of float64, int64 and string members of length n → uint64[n]; the order of members counts."""
    array = struct.combine_chunks() if isinstance(struct, pa.ChunkedArray) else struct
    state = np.zeros(len(array), dtype=np.uint64)
    for member in array.flatten():
        state = _mix((state ^ _words(member)) + GOLDEN)
    return pa.array(state)


def _mix(state: Words) -> Words:
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))


def _words(array: Any) -> Words:
    """One 64-bit word for each value."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return _text_words(array)
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


def _sql_type(type_: ColumnType) -> str:
    if type_ in TEXT_TYPES:
        return "VARCHAR"
    return "DOUBLE" if type_ is ColumnType.FLOAT else "BIGINT"


def _sql_value(name: str, type_: ColumnType) -> str:
    column = quoted(name)
    if type_ is ColumnType.TIMESTAMP:
        return f"epoch_us({column})"
    return f"CAST({column} AS BIGINT)" if type_ is ColumnType.BOOLEAN else column
