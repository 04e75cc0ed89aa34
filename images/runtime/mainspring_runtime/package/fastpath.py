"""The ONNX graph of a packaged estimator, if it can be made and proved to give what the estimator gives.

Two forms are tried: one matrix of numbers, as for a model that a TrainingRun trained, and one tensor for each column, for
pipelines that select columns by name. Outputs that the graph does not have stay with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.document import ONNX_FILE, ModelDocument, OnnxFacts
from mainspring_runtime.model.encoding import Array, Columns, Encoding, NumericSource
from mainspring_runtime.model.onnx_model import ERRORS, OnnxModel
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.signature import CLASSIFICATION, REGRESSION
from mainspring_runtime.train import admission, onnx_export
from mainspring_runtime.train.onnx_export import NotConvertible

MAX_BOUNDARIES = 5000
Draw = Callable[[int, Mapping[str, Array]], Columns]  # rows, and values to insert by column


@dataclass(frozen=True)
class Candidate:
    """A graph, the document with which it is fed, and where its trees decide."""

    model: Any
    document: ModelDocument
    boundaries: Mapping[str, Array]


def admit(directory: Path, model: Any, predictor: Predictor, draw: Draw, threads: int) -> ModelDocument:
    """Write `model.onnx` if a graph is proved; the reason is recorded if none is."""
    document, reasons = predictor.document, []
    try:
        for candidate in _candidates(model, predictor):
            reason = _refuted(directory, candidate, predictor, draw, threads)
            if reason is None:
                return replace(candidate.document, onnx=OnnxFacts(True, ""))
            reasons.append(reason)
    except NotConvertible as error:
        reasons.append(str(error))
    (directory / ONNX_FILE).unlink(missing_ok=True)
    return replace(document, onnx=OnnxFacts(False, reasons[-1]))


def _candidates(model: Any, predictor: Predictor) -> Iterator[Candidate]:
    """Graphs in the order in which they are tried. Raises `NotConvertible` with what is said when none is left."""
    document = predictor.document
    if document.task not in (CLASSIFICATION, REGRESSION):
        raise NotConvertible(f"only classifiers and regressors are converted, not a model for {document.task}")
    if any(len(output.shape) > 1 and output.name == "predict" for output in predictor.signature.outputs):
        raise NotConvertible("it has several targets")
    pipeline = model if isinstance(model, Pipeline) else Pipeline([("estimator", model)])
    numeric = all(column.datatype != "BYTES" for column in predictor.signature.inputs)
    if numeric:
        encoding = Encoding(tuple(NumericSource(column.name) for column in predictor.signature.inputs))
        encoded = replace(document, encoding=encoding)
        try:
            graph = onnx_export.export(pipeline, encoded)
            yield Candidate(graph, encoded, onnx_export.tree_thresholds(graph, encoding))
        except NotConvertible:
            if document.inputs != "Frame":
                raise
    if document.inputs != "Frame":
        raise NotConvertible("the estimator takes texts")
    graph = onnx_export.export_columns(pipeline, document, predictor.signature)
    yield Candidate(graph, document, _everywhere(graph, predictor))


def _everywhere(graph: Any, predictor: Predictor) -> dict[str, Array]:
    """All thresholds for every column of numbers: behind a ColumnTransformer nobody knows which is whose."""
    values = onnx_export.all_thresholds(graph)
    if len(values) > MAX_BOUNDARIES:
        values = np.random.default_rng(0).choice(values, MAX_BOUNDARIES, replace=False)
    return {column.name: values for column in predictor.signature.inputs if column.datatype == "FP64"} if len(values) else {}


def _refuted(directory: Path, candidate: Candidate, predictor: Predictor, draw: Draw, threads: int) -> str | None:
    """Why the graph is not equal; None when no difference was found."""
    if candidate.model.ByteSize() > admission.MAX_BYTES:
        return "the ONNX graph would be larger than 1.5 GB"
    (directory / ONNX_FILE).write_bytes(candidate.model.SerializeToString(deterministic=True))
    columns = draw(admission.PROOF_ROWS, candidate.boundaries)
    try:
        graph = OnnxModel(directory, candidate.document, threads)
        outputs = tuple(name for name in predictor.signature.output_names if name in graph.outputs)
        found = graph.run(columns, outputs)
    except ERRORS as error:
        return f"ONNX Runtime cannot run it: {str(error)[:200]}"
    expected = {name: values for name, values in predicting.outputs(predictor, columns).items() if name in outputs}
    problem = samples.difference(expected, found)
    return None if problem is None else f"on {admission.PROOF_ROWS} synthetic rows, ONNX and scikit-learn disagree: {problem}"
