"""What `GET /v2/models/{model}` tells: inputs, outputs and, as parameters, what the protocol has no field for."""

from __future__ import annotations

from typing import Any

from mainspring_runtime.model.signature import Column, Output, Signature
from mainspring_runtime.serve import wire
from mainspring_runtime.serve.settings import Settings

PER_CLASS_OUTPUTS = ("predict_proba", "predict_log_proba", "decision_function")


def encode_metadata(settings: Settings, signature: Signature, platform: str) -> bytes:
    """The JSON of the answer, made once. `platform` is `<library>_<format>`, as the protocol suggests."""
    parameters = {"task": signature.task, "default_outputs": list(signature.default_outputs)}
    return wire.encode(
        {
            "name": settings.model,
            "versions": [settings.version],
            "platform": platform,
            "inputs": [_input(column) for column in signature.inputs],
            "outputs": [_output(output, signature) for output in signature.outputs],
            "parameters": parameters | _classes(signature) | _key(signature),
        }
    )


def _input(column: Column) -> dict[str, Any]:
    parameters: dict[str, Any] = {"nullable": column.nullable, "kind": column.kind}
    if column.categories is not None:
        parameters["categories"] = list(column.categories)
    return {"name": column.name, "datatype": column.datatype, "shape": [-1, 1], "parameters": parameters}


def _output(output: Output, signature: Signature) -> dict[str, Any]:
    return {
        "name": output.name,
        "datatype": output.datatype,
        "shape": list(output.shape),
        "parameters": _last_dimension(output, signature),
    }


def _last_dimension(output: Output, signature: Signature) -> dict[str, Any]:
    """What it lists: classes, or names of targets or features."""
    if output.classes is not None:
        return {"classes": list(output.classes)}
    if output.columns is not None:
        return {"columns": list(output.columns)}
    by_class = output.name in PER_CLASS_OUTPUTS and len(output.shape) == 2
    return _classes(signature) if by_class and output.shape[1] == len(signature.classes or ()) else {}


def _key(signature: Signature) -> dict[str, Any]:
    """One input more that may be sent, as a string or an integer for each row."""
    return {} if signature.key is None else {"key": signature.key}


def _classes(signature: Signature) -> dict[str, Any]:
    """The classes in the order in which per-class outputs list them."""
    return {} if signature.classes is None else {"classes": list(signature.classes)}
