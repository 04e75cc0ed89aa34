"""The fast path: `model.onnx` in ONNX Runtime. Imports neither scikit-learn nor pandas.

Graphs that we export have the inputs `numeric` and `category` (see `encoding`) and outputs named as in the signature,
labels included. Graphs that users bring take one tensor `[N, F]` or one tensor a column, and give class scores or
values under names of their own, which `tensors` maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from mainspring_runtime.model import labels
from mainspring_runtime.model.document import ONNX_FILE, ModelDocument
from mainspring_runtime.model.encoding import Array, Columns, Encoding
from mainspring_runtime.model.signature import PREDICT

NUMERIC = "numeric"
CATEGORY = "category"
NUMPY_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
               "tensor(bool)": np.bool_, "tensor(string)": object}  # fmt: skip
# What ONNX Runtime raises for a file it cannot load or run; they share no base class but Exception.
ERRORS = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
FATAL = 4  # log severity; errors are raised, and printing them as well helps nobody


class OnnxModel:
    """`run(columns, outputs)` for a directory whose `model.onnx` may answer."""

    def __init__(self, directory: Path, document: ModelDocument, threads: int) -> None:
        """Raises one of `ERRORS` when the file cannot be loaded."""
        self._session = open_session(directory / ONNX_FILE, threads)
        self._document = document
        self._types = {item.name: NUMPY_TYPES.get(item.type, np.float32) for item in self._session.get_inputs()}
        self._known = {item.name for item in self._session.get_outputs()}
        self._classes = None if document.classes is None else labels.as_array(document.classes)
        self._tensors = {item.output: item.name for item in document.methods} if document.format == "onnx" else {}

    @property
    def outputs(self) -> frozenset[str]:
        """What it answers: the outputs of the graph, or those that are made of them."""
        return frozenset(
            self._tensors or ((PREDICT, self._document.scores or PREDICT) if self._document.tensor else self._known)
        )

    def run(self, columns: Columns, outputs: Sequence[str]) -> dict[str, Array]:
        """Outputs by name, [N] or [N, K]."""
        feeds = self._feeds(columns)
        if self._tensors:
            results = self._session.run([self._tensors[name] for name in outputs], feeds)
            return {name: _packaged(name, result) for name, result in zip(outputs, results, strict=True)}
        if self._known.issuperset(outputs):
            results = self._session.run(list(outputs), feeds)
            return {name: _widen(result) for name, result in zip(outputs, results, strict=True)}
        return self._run_foreign(feeds, outputs)

    def _feeds(self, columns: Columns) -> dict[str, Array]:
        document = self._document
        if document.encoding is not None:
            return _encoded(document.encoding, columns)
        if document.inputs == "Tensor":
            name, dtype = next(iter(self._types.items()))
            return {name: np.stack([columns[feature] for feature in document.features], axis=1).astype(dtype)}
        return {name: columns[name][:, None].astype(dtype) for name, dtype in self._types.items()}

    def _run_foreign(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """A user's graph has one output that matters: class probabilities [N, K], or values [N] or [N, 1]."""
        document = self._document
        values = _widen(self._session.run([document.tensor], dict(feeds))[0])
        if document.scores is None or self._classes is None:
            return dict.fromkeys(outputs, values.reshape(-1))
        threshold = labels.DEFAULT_THRESHOLD if document.threshold is None else document.threshold
        chosen = self._classes[labels.decide(values, document.positive_index, threshold)]
        return {name: chosen if name == "predict" else values for name in outputs}


def open_session(model: Path | bytes, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU. `threads` must come from the container's limit, not from the node."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    # Spinning threads use up the CPU quota of the container while they wait.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _encoded(encoding: Encoding, columns: Columns) -> dict[str, Array]:
    feeds: dict[str, Array] = {}
    if encoding.numeric:
        feeds[NUMERIC] = encoding.numbers(columns)
    if encoding.categories:
        feeds[CATEGORY] = encoding.strings(columns)
    return feeds


def _widen(values: Array) -> Array:
    """Float32 becomes float64, the datatype of the signature."""
    return values.astype(np.float64) if values.dtype == np.float32 else values


def _packaged(name: str, values: Array) -> Array:
    """A tensor of a graph as it is; converters give labels as `[N, 1]`, which is one for each row."""
    if name == PREDICT and values.ndim == 2 and values.shape[1] == 1:
        values = values.reshape(-1)
    return values.astype(np.int64) if values.dtype.kind in "iub" else _widen(values)
