"""The model file of a version: the estimator as skops writes it, or else the user's pickle as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import skops.io.exceptions

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import document as documents
from mainspring_runtime.model.document import Inputs, ModelDocument
from mainspring_runtime.package import sources
from mainspring_runtime.train import canonical

JOBLIB_FILE = "model.joblib"
# skops has no class for all that it cannot store.
STORING_ERRORS = (
    skops.io.exceptions.UnsupportedTypeException,
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
)


def store(model: Any, directory: Path, source: Path, inputs: Inputs) -> ModelDocument:
    """Write the file; what is returned says which it is, and nothing else yet. Raises `PermanentError("InvalidModel")`."""
    try:
        canonical.write_skops(model, directory / documents.SKOPS_FILE)
        return ModelDocument(format="skops", task="", inputs=inputs)
    except STORING_ERRORS as error:
        if source.suffix.lower() not in sources.PICKLES:
            message = f"skops cannot store a {type(model).__name__}: {type(error).__name__}: {str(error)[:300]}"
            raise PermanentError("InvalidModel", message) from error
    (directory / documents.SKOPS_FILE).unlink(missing_ok=True)
    shutil.copyfile(source, directory / JOBLIB_FILE)
    return ModelDocument(format="joblib", task="", inputs=inputs, file=JOBLIB_FILE)
