"""The ONNX graph of a packaged estimator, if it can be made and proved to give what the estimator gives.

Two forms are tried: one matrix of numbers, as for a model that a TrainingRun trained, and one tensor for each column, for
pipelines that select columns by name. Outputs that the graph does not have stay with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from mainspring_runtime.model.signature import CLASSIFICATION, PREDICT, REGRESSION
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
    """Write `model.onnx` if a graph is proved; if none is, why the first was not is recorded."""
    reasons = []
    for make in _forms(predictor):
        try:
            candidate = make(model if isinstance(model, Pipeline) else Pipeline([("estimator", model)]), predictor)
        except NotConvertible as error:
            reasons.append(str(error))
            continue
        reason = _refuted(directory, candidate, predictor, draw, threads)
        if reason is None:
            return replace(candidate.document, onnx=OnnxFacts(True, ""))
        reasons.append(reason)
    (directory / ONNX_FILE).unlink(missing_ok=True)
    return replace(predictor.document, onnx=OnnxFacts(False, (reasons or [_why_none(predictor)])[0]))


def _forms(predictor: Predictor) -> list[Callable[[Any, Predictor], Candidate]]:
    """The forms to try, in their order."""
    if _several_targets(predictor) or predictor.document.task not in (CLASSIFICATION, REGRESSION):
        return []
    numeric = all(column.datatype != "BYTES" for column in predictor.signature.inputs)
    named = predictor.document.inputs == "Frame"
    return [*([_as_matrix] if numeric else []), *([_by_column] if named else [])]


def _several_targets(predictor: Predictor) -> bool:
    return any(output.name == PREDICT and len(output.shape) > 1 for output in predictor.signature.outputs)


def _why_none(predictor: Predictor) -> str:
    if _several_targets(predictor):
        return "it has several targets"
    if predictor.document.task in (CLASSIFICATION, REGRESSION):
        return "it takes texts without names"
    return f"only classifiers and regressors are converted, not a model for {predictor.document.task}"


def _as_matrix(pipeline: Any, predictor: Predictor) -> Candidate:
    """One matrix of numbers. Raises `NotConvertible`."""
    encoding = Encoding(tuple(NumericSource(column.name) for column in predictor.signature.inputs))
    document = replace(predictor.document, encoding=encoding)
    graph = onnx_export.export(pipeline, document)
    return Candidate(graph, document, onnx_export.tree_thresholds(graph, encoding))


def _by_column(pipeline: Any, predictor: Predictor) -> Candidate:
    """One tensor for each column. Raises `NotConvertible`."""
    graph = onnx_export.export_columns(pipeline, predictor.document, predictor.signature)
    return Candidate(graph, predictor.document, _everywhere(graph, predictor))


def _everywhere(graph: Any, predictor: Predictor) -> dict[str, Array]:
    """All thresholds for every column of numbers: behind a ColumnTransformer nobody knows which is whose."""
    values = onnx_export.all_thresholds(graph)
    if len(values) > MAX_BOUNDARIES:
        values = np.random.default_rng(0).choice(values, MAX_BOUNDARIES, replace=False)
    return (
        {column.name: values for column in predictor.signature.inputs if column.datatype == "FP64"}
        if len(values)
        else {}
    )


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
    return (
        None
        if problem is None
        else f"on {admission.PROOF_ROWS} synthetic rows, ONNX and scikit-learn disagree: {problem}"
    )
