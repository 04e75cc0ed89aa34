"""A packaged model: each output is what the estimator's own method answers, whatever kind of estimator it is.

Nothing is decided here. Sparse matrices become dense, numbers float64 or int64, all else text, and the shape stays as the
estimator gives it: `[N]`, or `[N, K]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainspring_runtime.model import labels
from mainspring_runtime.model.arranging import arrange
from mainspring_runtime.model.document import Method, ModelDocument
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.signature import PREDICT, Signature

PROBABILITIES = "predict_proba"


class MethodsModel:
    """`run(columns, outputs)` around a fitted estimator whose document has `methods`."""

    def __init__(self, model: Any, document: ModelDocument, signature: Signature) -> None:
        self._model = model
        self._document = document
        self._signature = signature
        self._methods = {item.output: item for item in document.methods}
        self._datatypes = {output.name: output.datatype for output in signature.outputs}
        self._classes = None if document.classes is None else labels.as_array(document.classes)

    def run(self, columns: Columns, outputs: Sequence[str]) -> dict[str, Array]:
        """Outputs by name, [N] or [N, K]. Each method of the estimator is called once."""
        table = arrange(columns, self._document, self._signature)
        given: dict[str, Any] = {}
        for name in self._needed(outputs):
            given[name] = call(self._model, name, table)
        return {name: self._output(name, given) for name in outputs}

    def _needed(self, outputs: Sequence[str]) -> dict[str, None]:
        """Methods in the order in which they are called."""
        return dict.fromkeys(PROBABILITIES if self._is_argmax(name) else self._methods[name].name for name in outputs)

    def _is_argmax(self, output: str) -> bool:
        return self._document.argmax and output == PREDICT

    def _output(self, name: str, given: dict[str, Any]) -> Array:
        if self._is_argmax(name) and self._classes is not None:
            chosen: Array = self._classes[np.argmax(given[PROBABILITIES], axis=1)]
            return chosen
        return plain(part_of(given[self._methods[name].name], self._methods[name]), self._datatypes[name])


def call(model: Any, method: str, table: Any) -> Any:
    """What the method gives. A probability of 0 has the logarithm -inf, which is no reason for a warning."""
    with np.errstate(divide="ignore"):
        return getattr(model, method)(table)


def part_of(given: Any, method: Method) -> Any:
    return given if method.part is None else given[method.part]


def dense(given: Any) -> Array:
    """A dense array of a sparse matrix, a data frame or anything else that an estimator returns."""
    return np.asarray(given.toarray() if hasattr(given, "toarray") else given)


def plain(given: Any, datatype: str) -> Array:
    """The values in the dtype of the wire datatype; '' for a missing text."""
    array = dense(given)
    match datatype:
        case "FP64":
            return array.astype(np.float64)
        case "INT64":
            return array.astype(np.int64)
    flat = np.empty(array.size, dtype=object)
    flat[:] = [text_of(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape)


def text_of(value: Any) -> str:
    """'' for None and NaN, which is not equal to itself."""
    return "" if value is None or value != value else str(value)
