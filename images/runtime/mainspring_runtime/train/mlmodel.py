"""`MLmodel`: the version in the terms of MLflow, so that its tools load it without knowing us.

Flavors: `onnx` for the graph, `sklearn` for the skops file, and `python_function` for the one of them that answers.
https://mlflow.org/docs/latest/ml/model/
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import yaml

from mainspring_runtime.model.document import ONNX_FILE, PICKLE_FORMATS, SKOPS_FILE, ModelDocument
from mainspring_runtime.model.onnx_model import CATEGORY, NUMERIC
from mainspring_runtime.model.signature import Signature

ONNX_TYPES = {"FP64": "float32", "BYTES": "object", "INT64": "int64"}
NUMPY_TYPES = {"FP64": "float64", "BYTES": "object", "INT64": "int64", "BOOL": "bool"}


def render(document: ModelDocument, signature: Signature, skops_types: Sequence[str]) -> str:
    """The YAML of `MLmodel`. `skops_types`: what the skops file contains besides the types that skops trusts itself."""
    flavors: dict[str, Any] = {}
    if document.file == SKOPS_FILE or document.format in PICKLE_FORMATS:
        flavors["sklearn"] = _sklearn(document, skops_types)
    if document.onnx.admitted:
        flavors["onnx"] = {
            "data": ONNX_FILE,
            "onnx_version": metadata.version("onnx"),
            "providers": ["CPUExecutionProvider"],
            "code": None,
        }
    if flavors:
        flavors["python_function"] = _python_function(document)
    content = {"flavors": flavors, "signature": _signature(document, signature)}
    return yaml.safe_dump(content, sort_keys=True, default_flow_style=False)


def _sklearn(document: ModelDocument, skops_types: Sequence[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "pickled_model": document.file,
        "serialization_format": "skops" if document.file == SKOPS_FILE else "pickle",
        "sklearn_version": metadata.version("scikit-learn"),
        "code": None,
    }
    return facts | ({"skops_trusted_types": sorted(skops_types)} if document.file == SKOPS_FILE else {})


def _python_function(document: ModelDocument) -> dict[str, Any]:
    common = {"python_version": platform.python_version(), "env": {}}
    if document.onnx.admitted:
        return {"loader_module": "mlflow.onnx", "data": ONNX_FILE, **common}
    return {"loader_module": "mlflow.sklearn", "model_path": document.file, "predict_fn": "predict", **common}


def _signature(document: ModelDocument, signature: Signature) -> dict[str, Any]:
    outputs = [
        _tensor(
            item.name, ONNX_TYPES[item.datatype] if document.onnx.admitted else NUMPY_TYPES[item.datatype], item.shape
        )
        for item in signature.outputs
    ]
    return {"inputs": json.dumps(_inputs(document, signature)), "outputs": json.dumps(outputs), "params": None}


def _inputs(document: ModelDocument, signature: Signature) -> list[dict[str, Any]]:
    encoding = document.encoding
    if encoding is None:
        return [_tensor(column.name, NUMPY_TYPES[column.datatype], (-1,)) for column in signature.inputs]
    if not document.onnx.admitted:
        return [_tensor(None, "float64", (-1, encoding.width))]
    blocks = [(NUMERIC, "float32", len(encoding.numeric)), (CATEGORY, "object", len(encoding.categories))]
    return [_tensor(name, dtype, (-1, width)) for name, dtype, width in blocks if width]


def _tensor(name: str | None, dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    tensor = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}
    return tensor if name is None else tensor | {"name": name}
