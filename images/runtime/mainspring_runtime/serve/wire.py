"""The JSON of the Open Inference Protocol v2: bytes to structs, structs to bytes. Knows nothing of models.

Specification: https://github.com/kserve/open-inference-protocol (REST). Unknown fields are ignored, as it asks.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

import msgspec

from mainspring_runtime.serve.errors import RequestError, bad_request

T = TypeVar("T")

Parameters = dict[str, Any]


class RequestInput(msgspec.Struct, frozen=True, gc=False):
    """One tensor; `data` holds its values in row-major order, flat or nested by dimension, unless they come as bytes."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: Parameters | None = None


class RequestOutput(msgspec.Struct, frozen=True):
    """An output that the caller wants."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct, frozen=True):
    """The body of a POST to `…/infer`."""

    inputs: list[RequestInput]
    id: str | None = None
    outputs: list[RequestOutput] | None = None
    parameters: Parameters | None = None


class ResponseOutput(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One tensor; `data` is flat, and left out when the values follow as bytes. A missing number is null."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: Parameters | None = None


class InferResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to an `InferRequest`, with its `id` if it had one."""

    model_name: str
    model_version: str
    outputs: list[ResponseOutput]
    id: str | None = None


BINARY_HEADER = b"inference-header-content-length"  # bytes of JSON, before the tensors that come as bytes

_ENCODER = msgspec.json.Encoder()
_NAN = b"NaN"


def encode(value: Any) -> bytes:
    """JSON of a struct, or of plain lists and dicts; NaN becomes null."""
    return _ENCODER.encode(value)


def encode_error(error: RequestError) -> bytes:
    return _ENCODER.encode({"error": error.message})


class Decoder(Generic[T]):
    """JSON bodies of one type; `what` names it for people.

    Bare NaN is not JSON, but Python's own encoder writes it, so a body that fails and contains it is read once more by
    Python's own decoder. Bodies without NaN never pay for this.
    """

    def __init__(self, kind: type[T], what: str) -> None:
        self._kind = kind
        self._what = what
        self._decode = msgspec.json.Decoder(kind).decode

    def decode(self, body: bytes) -> T:
        """Raises `RequestError` 400."""
        try:
            if not body.isascii():
                body.decode()  # what is skipped, such as unknown fields, would not be looked at
            return self._decode(body)
        except msgspec.DecodeError as error:
            if _NAN not in body:
                raise self._refusal(error) from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise self._refusal(error) from error
        return self._decode_tolerantly(body)

    def _decode_tolerantly(self, body: bytes) -> T:
        try:
            value = json.loads(body.decode(), parse_constant=_constant)
            _ENCODER.encode(value)  # refuses half of a surrogate pair, which could not be sent back
            return msgspec.convert(value, self._kind)
        except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> RequestError:
        match error:
            case UnicodeError():
                return bad_request(f"the body is not UTF-8: {error}")
            case RecursionError():
                return bad_request("the body is nested too deeply")
            case msgspec.ValidationError():
                return bad_request(f"the body is not {self._what}: {error}")
            case _:
                return bad_request(f"the body is not valid JSON: {error}")


def _constant(token: str) -> None:
    """NaN is read as null: both mean a missing value."""
    if token != "NaN":
        raise ValueError(f"{token} is not a value; leave the row out, or send null where the input is nullable")


_REQUESTS = Decoder(InferRequest, "an inference request")


def decode(body: bytes) -> InferRequest:
    """Parse a v2 request. Raises `RequestError` 400."""
    return _REQUESTS.decode(body)
