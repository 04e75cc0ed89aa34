"""The ModelVersion that makes a packaged model known to the cluster, ready for `kubectl apply`."""

from __future__ import annotations

from typing import Any

import yaml

from mainspring.api.v1alpha1.common import API_VERSION
from mainspring.api.v1alpha1.dataset import Task
from mainspring.api.v1alpha1.modelversion import MODEL_VERSION
from mainspring_runtime.artifacts import Published
from mainspring_runtime.evaluate import describing
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.signature import Signature

MAX_OUTPUTS = 16  # of spec.outputs; signature.json has all


def render(
    model: str,
    number: int,
    published: Published,
    document: ModelDocument,
    signature: Signature,
    *,
    namespace: str | None = None,
    image: str | None = None,
) -> str:
    """The YAML. `image`: where the model's libraries are, when the runtime of the release has them not."""
    inputs, outputs = describing.tensors(signature)
    artifact = {
        "uri": published.uri,
        "digest": published.digest,
        "modelDigest": document.model_digest,
        "size": published.size,
        "format": document.format,
    }
    spec: dict[str, Any] = {"model": model, "number": number, "artifact": artifact}
    if image is not None:
        # Evaluated where it was made, served by the same image.
        spec |= {"runtimeImage": image, "source": {"image": image}}
    if document.task in set(Task):
        spec["task"] = document.task
    spec["inputs"] = [item.to_dict() for item in inputs]
    spec["outputs"] = [item.to_dict() for item in outputs[:MAX_OUTPUTS]]
    metadata = {"name": f"{model}-v{number}"} | ({"namespace": namespace} if namespace else {})
    manifest = {"apiVersion": API_VERSION, "kind": MODEL_VERSION.kind, "metadata": metadata, "spec": spec}
    return str(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120))
