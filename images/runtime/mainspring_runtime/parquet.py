"""Writes Parquet files: as much of the format as rows of requests need, with nothing but NumPy and zlib.

The image of the server has neither PyArrow nor DuckDB, which are bigger than all that it may still grow (see
docs/decisions/0013-payload-log.md). One row group, one page a column, plain encoding, gzip: every reader knows that.

Format: https://github.com/apache/parquet-format (`README.md`, `Encodings.md`, `src/main/thrift/parquet.thrift`), its
metadata in Thrift's compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAGIC = b"PAR1"
CREATED_BY = "mainspring"
GZIP_WBITS = 31  # zlib's way to ask for the header and trailer of gzip, which the codec GZIP means
GZIP_LEVEL = 1  # a third of the time of the usual 6, and a few percent larger
GZIP_CODEC, PLAIN, RLE, DATA_PAGE, OPTIONAL = 2, 0, 3, 0, 1


class Kind(Enum):
    """Physical type of the format, and what a reader shall take it for (`ConvertedType`), if anything else."""

    BOOLEAN = 0, None
    INTEGER = 2, None
    TIME = 2, 10  # microseconds since 1970, UTC
    FLOAT = 5, None
    TEXT = 6, 0


@dataclass(frozen=True)
class Column:
    """`values` [N] are bool, int64, float64 or an object array of str; `present` [N] says which are there, None: all."""

    name: str
    kind: Kind
    values: Array
    present: Array | None = None


def encode(columns: Sequence[Column]) -> bytes:
    """A whole file. Raises ValueError when the columns have not the same number of rows."""
    rows = {len(column.values) for column in columns}
    if len(rows) != 1:
        raise ValueError(f"columns have {sorted(rows)} rows; a file needs one number")
    (count,) = rows
    parts, chunks, offset = [MAGIC], [], len(MAGIC)
    for column in columns:
        page, size = _page(column)
        parts.append(page)
        chunks.append(_chunk(column, offset, len(page), size))
        offset += len(page)
    footer = _footer(columns, count, chunks, offset - len(MAGIC))
    return b"".join((*parts, footer, struct.pack("<I", len(footer)), MAGIC))


def _page(column: Column) -> tuple[bytes, int]:
    """Header and compressed content of the only page, and its size without compression, header included."""
    content = _levels(column) + _plain(column)
    packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WBITS)
    packed = packer.compress(content) + packer.flush()
    about = _struct((1, _int32(len(column.values))), (2, _int32(PLAIN)), (3, _int32(RLE)), (4, _int32(RLE)))
    header = _struct((1, _int32(DATA_PAGE)), (2, _int32(len(content))), (3, _int32(len(packed))), (5, (STRUCT, about)))
    return header + packed, len(header) + len(content)


def _levels(column: Column) -> bytes:
    """Definition levels: a bit for each row, 1 where there is a value, in one bit-packed run."""
    present = np.ones(len(column.values), dtype=np.bool_) if column.present is None else column.present
    bits = np.packbits(present, bitorder="little").tobytes()
    run = _varint(len(bits) << 1 | 1) + bits
    return struct.pack("<I", len(run)) + run


def _plain(column: Column) -> bytes:
    values = column.values if column.present is None else column.values[column.present]
    match column.kind:
        case Kind.TEXT:
            return b"".join(map(_Texts().__getitem__, values.tolist()))
        case Kind.BOOLEAN:
            return np.packbits(values.astype(np.bool_), bitorder="little").tobytes()
        case Kind.FLOAT:
            return values.astype("<f8").tobytes()
        case _:
            return values.astype("<i8").tobytes()


class _Texts(dict[str, bytes]):
    """Strings as the format has them. Most occur more than once, so each is made once."""

    def __missing__(self, text: str) -> bytes:
        # Half of a surrogate pair cannot be written; JSON that has one was refused before, this is for other ways in.
        content = text.encode(errors="replace")
        self[text] = made = struct.pack("<I", len(content)) + content
        return made


# ---- Metadata

INT32, INT64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
Value = tuple[int, bytes]  # type and encoding
MOST_DELTA, MOST_SHORT = 15, 15


def _chunk(column: Column, offset: int, size: int, uncompressed: int) -> bytes:
    about = _struct(
        (1, _int32(column.kind.value[0])),
        (2, _list(INT32, [_zigzag(PLAIN), _zigzag(RLE)])),
        (3, _list(BINARY, [_binary(column.name)])),
        (4, _int32(GZIP_CODEC)),
        (5, _int64(len(column.values))),
        (6, _int64(uncompressed)),
        (7, _int64(size)),
        (9, _int64(offset)),
    )
    return _struct((2, _int64(offset)), (3, (STRUCT, about)))


def _footer(columns: Sequence[Column], rows: int, chunks: Sequence[bytes], size: int) -> bytes:
    root = _struct((4, _text("rows")), (5, _int32(len(columns))))
    group = _struct((1, _list(STRUCT, chunks)), (2, _int64(size)), (3, _int64(rows)))
    return _struct(
        (1, _int32(1)),
        (2, _list(STRUCT, [root, *map(_element, columns)])),
        (3, _int64(rows)),
        (4, _list(STRUCT, [group])),
        (6, _text(CREATED_BY)),
    )


def _element(column: Column) -> bytes:
    physical, converted = column.kind.value
    fields = [(1, _int32(physical)), (3, _int32(OPTIONAL)), (4, _text(column.name))]
    return _struct(*fields, *([] if converted is None else [(6, _int32(converted))]))


def _struct(*fields: tuple[int, Value]) -> bytes:
    """Fields by rising number, no two further apart than `MOST_DELTA`."""
    parts, last = [], 0
    for number, (kind, content) in fields:
        parts += [bytes(((number - last) << 4 | kind,)), content]
        last = number
    return b"".join((*parts, b"\0"))


def _list(kind: int, items: Sequence[bytes]) -> Value:
    short = len(items) < MOST_SHORT
    head = bytes((len(items) << 4 | kind,)) if short else bytes((MOST_SHORT << 4 | kind,)) + _varint(len(items))
    return LIST, head + b"".join(items)


def _int32(value: int) -> Value:
    return INT32, _zigzag(value)


def _int64(value: int) -> Value:
    return INT64, _zigzag(value)


def _text(text: str) -> Value:
    return BINARY, _binary(text)


def _binary(text: str) -> bytes:
    content = text.encode(errors="replace")
    return _varint(len(content)) + content


def _zigzag(value: int) -> bytes:
    """Nothing here is negative."""
    return _varint(value << 1)


def _varint(value: int) -> bytes:
    return bytes(_sevens(value))


def _sevens(value: int) -> Iterable[int]:
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
