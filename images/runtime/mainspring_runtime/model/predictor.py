"""Load a model version and predict with it. The one entrance for `serve`, `evaluate` and people.

    predictor = load(directory)
    predictor.predict({"age": np.array([63.0]), "stage": np.array(["II"], dtype=object)}, ["predict", "predict_proba"])

Two paths give the same answers: ONNX Runtime, when the version has an admitted `model.onnx`, and scikit-learn. Before a
predictor is returned it has reproduced the version's own sample, so a wrong library, processor or file shows here and
not in production. When ONNX does not reproduce it, scikit-learn answers and `fallback_reason` says why.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.document import BOOSTING_LIBRARIES, ModelDocument, read_document
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.signature import Signature, read_signature

if TYPE_CHECKING:
    from mainspring_runtime.model.onnx_model import OnnxModel

Route = Literal["onnx", "sklearn", "custom"]


class RunnableModel(Protocol):
    """A way to compute outputs from columns."""

    def run(self, columns: Columns, outputs: Sequence[str]) -> dict[str, Array]: ...


class Predictor:
    """A loaded, proved model version. Safe to call from several threads.

    `path` is "custom" for a file in a format of the user's own: it is stored and described, but cannot be run here.
    """

    def __init__(
        self,
        signature: Signature,
        document: ModelDocument,
        path: Route,
        model: RunnableModel | None,
        fallback_reason: str | None = None,
    ) -> None:
        self.signature = signature
        self.document = document
        self.path = path
        self.fallback_reason = fallback_reason
        self._model = model
        self._inputs = frozenset(column.name for column in signature.inputs)
        self._outputs = frozenset(signature.output_names)

    @property
    def platform(self) -> str:
        """`<library>_<format>`: what answers, and the format of its file."""
        if self.path == "onnx":
            return "onnxruntime_onnx"
        library = self.document.estimator.partition(".")[0]
        return f"{library if library in BOOSTING_LIBRARIES else 'sklearn'}_{self.document.format}"

    @property
    def only_computes(self) -> bool:
        """Whether ONNX Runtime alone answers: no code of anybody's, which might wait for something."""
        return self.path == "onnx" and not isinstance(self._model, Both)

    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str] = ("predict",)) -> dict[str, Array]:
        """Outputs by name for N rows: [N], or [N, K] for one value a class.

        `columns` holds every input of the signature as an array [N] in its dtype: FP64 float64 with NaN for missing,
        INT64 int64, BOOL bool, BYTES an object array of str with '' for missing. Labels come as an object array of str
        or int64, numbers as float64. Raises ValueError for an unknown output, a missing input or a malformed time, and
        `PermanentError("CustomFormat")`.
        """
        if self._model is None:
            message = "this model is in a custom format; serve it with an image of its own (spec.runtime.image)"
            raise PermanentError("CustomFormat", message)
        if not self._outputs.issuperset(outputs):
            unknown = next(name for name in outputs if name not in self._outputs)
            raise ValueError(f"unknown output {unknown!r}; this model has {', '.join(self.signature.output_names)}")
        if not self._inputs <= columns.keys():
            raise ValueError(f"missing input {min(self._inputs - columns.keys())!r}")
        return self._model.run(columns, outputs)


def load(
    directory: Path,
    *,
    trusted_types: Sequence[str] = (),
    allow_pickle: bool = False,
    threads: int | None = None,
    path: Route | None = None,
) -> Predictor:
    """Load the version in `directory` and prove it on its own sample.

    `threads` for ONNX Runtime; by default what the process may run on. `path` forces one path, without falling back.
    Raises `PermanentError`: InvalidModel, InvalidSignature, InvalidSample, PickleNotAllowed, UntrustedTypes,
    MissingModule, or SampleNotReproduced.
    """
    document, signature = read_document(directory), read_signature(directory)
    if document.format == "custom":
        return Predictor(signature, document, "custom", None)
    sample = samples.read_sample(directory, signature)
    reason = document.onnx.reason or None
    estimator = partial(_load_estimator, directory, document, signature, sample, trusted_types, allow_pickle)
    if document.onnx.admitted and path != "sklearn":
        model, reason = _load_onnx(directory, document, sample, threads or len(os.sched_getaffinity(0)))
        if model is not None:
            whole = model.outputs.issuperset(signature.output_names)
            return Predictor(signature, document, "onnx", model if whole else Both(model, estimator()))
        if path == "onnx" or document.format == "onnx":
            raise PermanentError("SampleNotReproduced", f"model.onnx cannot be used: {reason}")
    return Predictor(signature, document, "sklearn", estimator(), reason)


class Both:
    """ONNX Runtime for the outputs that its graph has, scikit-learn for the others. Each reproduced the sample."""

    def __init__(self, fast: OnnxModel, complete: RunnableModel) -> None:
        self._fast = fast
        self._complete = complete

    def run(self, columns: Columns, outputs: Sequence[str]) -> dict[str, Array]:
        graph = [name for name in outputs if name in self._fast.outputs]
        others = [name for name in outputs if name not in self._fast.outputs]
        results = self._fast.run(columns, graph) if graph else {}
        return results | (self._complete.run(columns, others) if others else {})


def _load_estimator(
    directory: Path,
    document: ModelDocument,
    signature: Signature,
    sample: samples.Sample | None,
    trusted_types: Sequence[str],
    allow_pickle: bool,
) -> RunnableModel:
    """The estimator, proved on the sample."""
    # Imported here: scikit-learn costs more than a second of start-up that the ONNX path need not pay.
    from mainspring_runtime.model import sklearn_model

    estimator = sklearn_model.load_estimator(directory, document, trusted_types, allow_pickle)
    wrapped = sklearn_model.wrap(estimator, document, signature)
    try:
        problem = _problem(wrapped, sample, signature.output_names)
    except (ValueError, TypeError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise PermanentError("SampleNotReproduced", f"{document.file} does not reproduce {samples.FILE}: {problem}")
    return wrapped


def _load_onnx(
    directory: Path, document: ModelDocument, sample: samples.Sample | None, threads: int
) -> tuple[OnnxModel | None, str | None]:
    """The model, or None and why it may not answer."""
    from mainspring_runtime.model import onnx_model

    try:
        model = onnx_model.OnnxModel(directory, document, threads)
        problem = _problem(model, sample, model.outputs)
    except onnx_model.ERRORS as error:
        problem = f"ONNX Runtime: {error}"
    return (None, problem) if problem else (model, None)


def _problem(model: RunnableModel, sample: samples.Sample | None, outputs: Collection[str]) -> str | None:
    """Why the sample is not reproduced; None when it is, or when there is none to reproduce."""
    if sample is None:
        return None
    expected = {name: values for name, values in sample.expected.items() if name in outputs}
    return samples.difference(expected, model.run(sample.columns, tuple(expected)))
