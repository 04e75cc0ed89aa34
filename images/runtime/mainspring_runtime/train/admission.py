"""Whether `model.onnx` may answer: it is exported, and proved equal to scikit-learn on rows made to be difficult."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.document import ONNX_FILE, OnnxFacts
from mainspring_runtime.model.onnx_model import ERRORS, OnnxModel
from mainspring_runtime.prepared import PreparedDataset, Rows
from mainspring_runtime.train import onnx_export, synthetic
from mainspring_runtime.train.training import Trained

PROOF_ROWS = 4000
MAX_BYTES = 1_500_000_000  # protobuf cannot hold more than 2 GB in one message


def admit(directory: Path, trained: Trained, dataset: PreparedDataset, rows: Rows, seed: int, threads: int) -> Trained:
    """Write `model.onnx` if it gives what scikit-learn gives; the reason is recorded either way."""
    try:
        model = onnx_export.export(trained.pipeline, trained.document)
        reason = _refuted(directory, model, trained, dataset, rows, seed, threads)
    except onnx_export.NotConvertible as error:
        reason = str(error)
    admitted = reason is None
    if not admitted:
        (directory / ONNX_FILE).unlink(missing_ok=True)
    return replace(trained, document=replace(trained.document, onnx=OnnxFacts(admitted, reason or "")))


def _refuted(
    directory: Path, model: Any, trained: Trained, dataset: PreparedDataset, rows: Rows, seed: int, threads: int
) -> str | None:
    """Why the graph is not equal; None when no difference was found."""
    if model.ByteSize() > MAX_BYTES or trained.document.encoding is None:
        return "the ONNX graph would be larger than 1.5 GB"
    (directory / ONNX_FILE).write_bytes(model.SerializeToString(deterministic=True))
    boundaries = onnx_export.tree_thresholds(model, trained.document.encoding)
    columns = synthetic.draw(dataset.features, rows, PROOF_ROWS, seed, boundaries)
    outputs = trained.signature.output_names
    expected = predicting.outputs(trained.predictor, columns)
    try:
        found = OnnxModel(directory, trained.document, threads).run(columns, outputs)
    except ERRORS as error:
        return f"ONNX Runtime cannot run it: {str(error)[:200]}"
    problem = samples.difference(expected, found)
    return None if problem is None else f"on {PROOF_ROWS} synthetic rows, ONNX and scikit-learn disagree: {problem}"
