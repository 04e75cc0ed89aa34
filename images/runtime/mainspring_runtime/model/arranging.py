"""From the columns of a request to what an estimator takes: a matrix, a data frame by name, or one column of texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.encoding import Columns, times
from mainspring_runtime.model.signature import Signature


def arrange(columns: Columns, document: ModelDocument, signature: Signature) -> Any:
    """What the estimator takes: a matrix, a pandas frame as `pandas.read_parquet` would have given it, or one column."""
    # A packaged model may have an encoding for its ONNX graph alone: it is given its columns as they are.
    if document.encoding is not None and document.inputs == "Encoded":
        return document.encoding.matrix(columns)
    if document.inputs == "Frame":
        return as_frame(columns, signature)
    if document.inputs == "Vector":
        return columns[signature.inputs[0].name]
    arrays = [columns[column.name] for column in signature.inputs]
    numeric = all(array.dtype != object for array in arrays)
    return (
        np.stack(arrays, axis=1).astype(np.float64) if numeric else np.stack([a.astype(object) for a in arrays], axis=1)
    )


def as_frame(columns: Columns, signature: Signature) -> Any:
    """A pandas data frame with the columns of the signature, for pipelines that select by name."""
    # Imported here: only models that need a frame pay for pandas.
    import pandas

    frame = {}
    for column in signature.inputs:
        values = columns[column.name]
        if column.kind == "Timestamp":
            frame[column.name] = pandas.Series(times(values)).dt.tz_localize("UTC")
        elif column.datatype == "BYTES":
            frame[column.name] = pandas.Series([text or None for text in values], dtype="str")
        else:
            frame[column.name] = pandas.Series(values)
    return pandas.DataFrame(frame)
