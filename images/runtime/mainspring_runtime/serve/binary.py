"""Tensors as bytes behind the JSON: the binary tensor data extension of the protocol, both ways. Pure.

Specification: https://github.com/kserve/open-inference-protocol, the binary data extension (first of Triton). The header
`Inference-Header-Content-Length` says how many bytes of the body are JSON; an input with the parameter
`binary_data_size` has its values behind it, in the order of the inputs: little-endian, row-major; BOOL is one byte, and an
element of BYTES is its length (4 bytes) and its UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring_runtime.serve.errors import RequestError, bad_request
from mainspring_runtime.serve.predicting import Result
from mainspring_runtime.serve.tables import Input
from mainspring_runtime.serve.tensors import Array, Tensor
from mainspring_runtime.serve.wire import InferRequest, RequestInput

SIZE = "binary_data_size"
WANTED = "binary_data"  # of one output
ALL_WANTED = "binary_data_output"  # of the request
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("<u1"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}
BF16 = np.dtype("<u2")  # the upper half of a float32
LENGTH = struct.Struct("<I")


def divide(body: bytes, header: bytes) -> tuple[bytes, memoryview]:
    """JSON and tensors of a body. Raises `RequestError` 400 when the header is no length within it."""
    if not header.isdigit() or not 0 < int(header[:20]) <= len(body):
        shown = header[:20].decode("latin-1")
        raise bad_request(f"Inference-Header-Content-Length is {shown!r}; expected 1 to {len(body)}, the body's length")
    length = int(header)
    return body[:length], memoryview(body)[length:]


def attach(request: InferRequest, content: memoryview) -> list[Input]:
    """The inputs with the values that `content` has for them. Raises `RequestError` 400."""
    inputs: list[Input] = []
    start = 0
    for item in request.inputs:
        size = (item.parameters or {}).get(SIZE)
        if size is None:
            inputs.append(item)
            continue
        _require_size(item, size, len(content) - start)
        inputs.append(Tensor(item.name, item.shape, item.datatype, _read(item, content[start : start + size])))
        start += size
    if start != len(content):
        raise bad_request(
            f"{len(content) - start} bytes are left behind the last input; do the values of {SIZE} add up?"
        )
    return inputs


def write(result: Result) -> bytes:
    """The values of an output as bytes."""
    if result.datatype == "BYTES":
        return _strings_to_bytes(result.values.ravel().tolist())
    return np.ascontiguousarray(result.values, dtype=DTYPES[result.datatype]).tobytes()


def _require_size(item: RequestInput, size: object, left: int) -> None:
    if type(size) is not int or not 0 <= size <= left:
        raise bad_request(f"input {item.name!r}: {SIZE} is {size!r}, and {left} bytes are there")
    if item.data is not None:
        raise bad_request(f"input {item.name!r} has data and {SIZE}; send one of them")


def _read(item: RequestInput, content: memoryview) -> Array | list[str]:
    if item.datatype == "BYTES":
        return _bytes_to_strings(item.name, content)
    dtype = BF16 if item.datatype == "BF16" else DTYPES.get(item.datatype)
    if dtype is None:
        raise bad_request(f"input {item.name!r}: {item.datatype!r} is no datatype of the protocol")
    if len(content) % dtype.itemsize:
        raise bad_request(
            f"input {item.name!r}: {len(content)} bytes are no whole number of {item.datatype}, {dtype.itemsize} bytes each"
        )
    values = np.frombuffer(content, dtype)
    return _widen(values) if item.datatype == "BF16" else values


def _widen(halves: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _bytes_to_strings(name: str, content: memoryview) -> list[str]:
    texts: list[str] = []
    start, end = 0, len(content)
    while start < end:
        begin = start + LENGTH.size
        start = begin + (LENGTH.unpack_from(content, start)[0] if begin <= end else end)
        if start > end:
            raise bad_request(
                f"input {name!r}: element {len(texts)} is cut off; each is 4 bytes of length, and the text"
            )
        texts.append(_decode(name, len(texts), content[begin:start]))
    return texts


def _decode(name: str, index: int, content: memoryview) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf_8(name, index, error) from error


def _not_utf_8(name: str, index: int, error: UnicodeDecodeError) -> RequestError:
    return bad_request(f"input {name!r}, row {index}: expected a string in UTF-8, got {error.object[:20]!r}")


def _strings_to_bytes(values: Sequence[object]) -> bytes:
    texts = [str(value).encode() for value in values]
    return b"".join([piece for text in texts for piece in (LENGTH.pack(len(text)), text)])
