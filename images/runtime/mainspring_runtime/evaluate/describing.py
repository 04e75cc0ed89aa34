"""A signature in the terms of the API: the first inputs, as a report has them; all of them are in the artifact."""

from __future__ import annotations

from mainspring.api.v1alpha1.trainingrun import MAX_TENSORS, TensorSpec
from mainspring_runtime.model.signature import Signature


def tensors(signature: Signature) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Inputs and outputs."""
    inputs = [
        TensorSpec(name=column.name, datatype=column.datatype, nullable=column.nullable)
        for column in signature.inputs[:MAX_TENSORS]
    ]
    outputs = [
        TensorSpec(name=output.name, datatype=output.datatype, shape=list(output.shape)) for output in signature.outputs
    ]
    return inputs, outputs
