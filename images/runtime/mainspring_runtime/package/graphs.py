"""What an ONNX file of a user takes and answers.

It takes one tensor `[N, F]`, which is the columns of the example in their order, or one tensor `[N, 1]` for each column by
name. Its outputs keep their names, except those that converters give labels, probabilities and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import document as documents
from mainspring_runtime.model.document import Inputs, Method, ModelDocument, OnnxFacts
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.onnx_model import ERRORS, NUMPY_TYPES, OnnxModel, open_session
from mainspring_runtime.model.signature import CLASSIFICATION, PREDICT, REGRESSION, Label, Output
from mainspring_runtime.package.describing import Described, datatype_of
from mainspring_runtime.package.examples import Examples

PROBABILITIES = "predict_proba"
# As skl2onnx, onnxmltools and hummingbird call them.
COMMON_NAMES = {
    "label": PREDICT,
    "output_label": PREDICT,
    "variable": PREDICT,
    "probabilities": PROBABILITIES,
    "output_probability": PROBABILITIES,
}


def describe(
    directory: Path, examples: Examples, classes: Sequence[Label], threads: int
) -> tuple[ModelDocument, Described]:
    """Ask the graph for all of its outputs. Raises `PermanentError`: InvalidModel, UnsupportedModel or PredictionFailed."""
    try:
        session = open_session(directory / documents.ONNX_FILE, threads)
    except ERRORS as error:
        raise PermanentError("InvalidModel", f"the ONNX file cannot be loaded: {str(error)[:300]}") from error
    tensors = _tensors(session)
    document = ModelDocument(
        format="onnx",
        task=REGRESSION,
        inputs=_inputs(session, examples),
        file=None,
        features=tuple(column.name for column in examples.columns),
        onnx=OnnxFacts(True, ""),
        methods=tuple(Method(name, tensor) for name, tensor in tensors.items()),
    )
    found = _answers(directory, document, examples.rows.columns, threads)
    return document, _described(document, found, tuple(classes))


def completed(document: ModelDocument, described: Described) -> ModelDocument:
    """The document with what its answers say."""
    two = described.classes is not None and len(described.classes) == 2
    has_scores = described.classes is not None and PROBABILITIES in {item.output for item in document.methods}
    return ModelDocument(
        format=document.format,
        task=described.task,
        inputs=document.inputs,
        file=None,
        features=document.features,
        onnx=document.onnx,
        methods=document.methods,
        classes=described.classes,
        positive=described.classes[-1] if described.classes is not None and two else None,
        scores=PROBABILITIES if has_scores else None,
    )


def _inputs(session: Any, examples: Examples) -> Inputs:
    items, names = session.get_inputs(), {column.name for column in examples.columns}
    if {item.name for item in items} == names and all(
        item.type in NUMPY_TYPES and len(item.shape) == 2 for item in items
    ):
        return "Columns"
    numeric = all(column.datatype != "BYTES" for column in examples.columns)
    if len(items) == 1 and numeric and len(items[0].shape) == 2 and items[0].shape[1] in (len(names), None):
        return "Tensor"
    takes = ", ".join(f"{item.name} {item.type} {item.shape}" for item in items)
    message = f"the graph takes {takes}; expected one tensor [N, {len(names)}], the columns of the example, or a tensor [N, 1] for each of them. Serve any other with an image of its own (spec.runtime.image)"
    raise PermanentError("UnsupportedModel", message)


def _tensors(session: Any) -> dict[str, str]:
    """Names of outputs as they are answered, and the graph's own."""
    outputs = session.get_outputs()
    if odd := [item.name for item in outputs if item.type not in NUMPY_TYPES]:
        message = f"the output {odd[0]!r} of the graph is no tensor; convert the model with zipmap=False"
        raise PermanentError("UnsupportedModel", message, odd)
    names = {COMMON_NAMES.get(item.name, item.name): item.name for item in outputs}
    if len(names) == 1 and PREDICT not in names:
        return {PREDICT: outputs[0].name}
    return names


def _answers(directory: Path, document: ModelDocument, columns: Columns, threads: int) -> dict[str, Array]:
    try:
        return OnnxModel(directory, document, threads).run(columns, [item.output for item in document.methods])
    except (ValueError, TypeError, *ERRORS) as error:
        message = f"the graph cannot predict the example rows: {type(error).__name__}: {str(error)[:300]}"
        raise PermanentError("PredictionFailed", message) from error


def _described(document: ModelDocument, found: dict[str, Array], classes: tuple[Label, ...]) -> Described:
    outputs = tuple(Output(name, datatype_of(array), (-1, *array.shape[1:])) for name, array in found.items())
    labels = found.get(PREDICT)
    is_label = labels is not None and labels.ndim == 1 and labels.dtype.kind != "f"
    default = PREDICT if PREDICT in found else outputs[0].name
    if not is_label:
        return Described(REGRESSION, outputs, document.methods, default)
    known = classes or _numbered(found)
    if labels is not None and known and not set(labels.tolist()) <= set(known):
        raise PermanentError("InvalidModel", f"the graph answers labels that are none of {', '.join(map(str, known))}")
    notes = (
        () if known else ("the classes are not known, so none are in the metadata; name them with --class in order",)
    )
    return Described(CLASSIFICATION, outputs, document.methods, default, known, notes)


def _numbered(found: dict[str, Array]) -> tuple[Label, ...] | None:
    """0 to K - 1, when the labels are such numbers."""
    scores, labels = found.get(PROBABILITIES), found[PREDICT]
    if scores is None or scores.ndim != 2 or labels.dtype != np.int64:
        return None
    return tuple(range(scores.shape[1])) if set(labels.tolist()) <= set(range(scores.shape[1])) else None
