"""The Open Inference Protocol v2: a request to a table and the outputs wanted, an answer to a response."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mainspring_runtime.serve import binary, tables, wire
from mainspring_runtime.serve.errors import bad_request, closest
from mainspring_runtime.serve.http import Response
from mainspring_runtime.serve.predicting import Answer, Outputs, Result
from mainspring_runtime.serve.served import Asked, ServedModel
from mainspring_runtime.serve.wire import InferRequest, InferResponse, ResponseOutput

OCTETS = b"application/octet-stream"
NONE: frozenset[str] = frozenset()


def read(model: ServedModel, body: bytes, json_length: bytes | None, max_rows: int) -> Asked:
    """`json_length` is the value of the header that says where the JSON ends, if tensors follow it as bytes.

    Raises `RequestError` 400 or 413.
    """
    inputs: Sequence[tables.Input]
    if json_length is None:
        request = wire.decode(body)
        inputs = request.inputs
    else:
        content, rest = binary.divide(body, json_length)
        request = wire.decode(content)
        inputs = binary.attach(request, rest)
    outputs = _choose(model, request.outputs)
    as_bytes = _as_bytes(request, outputs)
    table = tables.build(model.schema, inputs, max_rows)
    return Asked(table, outputs, partial(_write, model, request.id, as_bytes), request.id)


def _choose(model: ServedModel, wanted: Sequence[wire.RequestOutput] | None) -> Outputs:
    """The names that were asked for, each once; without any, the model's default."""
    if not wanted:
        return model.default_outputs
    for output in wanted:
        if output.name not in model.outputs:
            known = ", ".join(sorted(model.outputs))
            raise bad_request(
                f"unknown output {output.name!r}{closest(output.name, model.outputs)}; this model has {known}"
            )
    return tuple(dict.fromkeys(output.name for output in wanted))


def _as_bytes(request: InferRequest, outputs: Outputs) -> frozenset[str]:
    """The outputs that shall come back as bytes: each may say so, and the request for those that do not."""
    if request.parameters is None and not request.outputs:
        return NONE
    default = _flag(request.parameters, binary.ALL_WANTED, False)
    said = {output.name: _flag(output.parameters, binary.WANTED, default) for output in request.outputs or ()}
    return frozenset(name for name in outputs if said.get(name, default))


def _flag(parameters: wire.Parameters | None, name: str, default: bool) -> bool:
    value = default if parameters is None else parameters.get(name, default)
    if type(value) is not bool:
        raise bad_request(f"the parameter {name!r} is {value!r}; expected true or false")
    return value


def _write(model: ServedModel, id: str | None, as_bytes: frozenset[str], answer: Answer) -> Response:
    if as_bytes:
        return _write_binary(model, id, as_bytes, answer)
    outputs = [_output(result) for result in answer]
    return Response(200, wire.encode(InferResponse(model.name, model.version, outputs, id)))


def _output(result: Result) -> ResponseOutput:
    values = result.values
    flat = values.tolist() if values.ndim == 1 else values.ravel().tolist()
    return ResponseOutput(result.name, result.datatype, list(values.shape), flat)


def _write_binary(model: ServedModel, id: str | None, as_bytes: frozenset[str], answer: Answer) -> Response:
    """JSON, and behind it the outputs that were asked for as bytes, in the order of the answer."""
    outputs, blobs = [], []
    for result in answer:
        if result.name not in as_bytes:
            outputs.append(_output(result))
            continue
        blobs.append(binary.write(result))
        size = {binary.SIZE: len(blobs[-1])}
        outputs.append(ResponseOutput(result.name, result.datatype, list(result.values.shape), parameters=size))
    content = wire.encode(InferResponse(model.name, model.version, outputs, id))
    header = (wire.BINARY_HEADER, b"%d" % len(content))
    return Response(200, b"".join([content, *blobs]), (header,), OCTETS)
