"""The path that always works: the scikit-learn model itself, from skops or, where the Model allows it, from joblib.

skops files name every type they contain, and nothing is imported before all of them are known to be harmless.
joblib files are pickles: loading one runs whatever code it carries.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import labels
from mainspring_runtime.model.arranging import arrange
from mainspring_runtime.model.document import BOOSTING_LIBRARIES, PICKLE_FORMATS, ModelDocument
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.methods import MethodsModel
from mainspring_runtime.model.signature import Signature
from mainspring_runtime.model.trusted_types import TRUSTED_TYPES

MAX_NAMED_TYPES = 10


def wrap(model: Any, document: ModelDocument, signature: Signature) -> SklearnModel | MethodsModel:
    """`run(columns, outputs)` around a fitted estimator, in the way that its document asks for."""
    return (MethodsModel if document.methods else SklearnModel)(model, document, signature)


class SklearnModel:
    """`run(columns, outputs)` around a fitted estimator that a TrainingRun described: one target, labels by our rule."""

    def __init__(self, model: Any, document: ModelDocument, signature: Signature) -> None:
        self._model = model
        self._document = document
        self._signature = signature
        self._classes = None if document.classes is None else labels.as_array(document.classes)

    def run(self, columns: Columns, outputs: Sequence[str]) -> dict[str, Array]:
        """Outputs by name, [N] or [N, K]."""
        table = arrange(columns, self._document, self._signature)
        scores = self._document.scores
        values: dict[str, Array] = {}
        if scores is not None:
            values[scores] = np.asarray(getattr(self._model, scores)(table), dtype=np.float64)
        if "predict" in outputs:
            values["predict"] = self._labels(table, values)
        return {name: values[name] for name in outputs}

    def _labels(self, table: Any, values: dict[str, Array]) -> Array:
        document = self._document
        if self._classes is None:
            return np.asarray(self._model.predict(table), dtype=np.float64).reshape(-1)
        if document.scores is None:
            return np.asarray(self._model.predict(table)).astype(self._classes.dtype)
        return self._classes[decide(values[document.scores], document)]


def decide(scores: Array, document: ModelDocument) -> Array:
    """Class indexes [N] from probabilities or decision values."""
    if scores.ndim == 1:  # two classes: positive means the second one
        return (scores > labels.TIE).astype(np.int64)
    threshold = labels.DEFAULT_THRESHOLD if document.threshold is None else document.threshold
    return labels.decide(scores, document.positive_index, threshold)


def load_estimator(directory: Path, document: ModelDocument, trusted_types: Sequence[str], allow_pickle: bool) -> Any:
    """The fitted estimator of a version.

    Raises `PermanentError`: "PickleNotAllowed", "UntrustedTypes" (names them), "MissingModule", "InvalidModel".
    """
    path = directory / (document.file or "")
    try:
        if document.format in PICKLE_FORMATS:
            return _load_joblib(path, allow_pickle)
        return load_skops(path, trusted_types)
    except ModuleNotFoundError as error:
        raise PermanentError("MissingModule", _missing(path.name, (error.name or "").partition(".")[0])) from error
    except (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise PermanentError(
            "InvalidModel", f"{path.name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _missing(file: str, module: str) -> str:
    """Where to get the module: from our own image with boosting libraries, or from one that is made from it."""
    image = "the image runtime-boosting, which has it" if module in BOOSTING_LIBRARIES else "an image that has it"
    return (
        f"{file} needs the Python module {module!r}, which this image does not have; name {image}: in spec.image of the "
        "TrainingRun, or in spec.runtimeImage and spec.source.image of an imported ModelVersion"
    )


def load_skops(path: Path, trusted_types: Sequence[str]) -> Any:
    """Load a skops file if all its types are trusted."""
    import skops.io

    allowed = TRUSTED_TYPES | set(trusted_types)
    found = set(skops.io.get_untrusted_types(file=path))
    if unknown := sorted(found - allowed):
        shown = ", ".join(unknown[:MAX_NAMED_TYPES])
        message = f"{path.name} contains types that are not on the reviewed list: {shown}; list them in spec.trustedTypes of the Model if you trust them"
        raise PermanentError("UntrustedTypes", message, unknown)
    return skops.io.load(path, trusted=sorted(found))


def _load_joblib(path: Path, allow_pickle: bool) -> Any:
    if not allow_pickle:
        message = f"{path.name} is a pickle, which runs code when it is loaded; save it with skops, or set spec.allowPickle of the Model"
        raise PermanentError("PickleNotAllowed", message)
    import joblib

    return joblib.load(path)
