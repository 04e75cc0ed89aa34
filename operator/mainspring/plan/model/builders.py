"""What a Model makes: ModelVersions. They belong to nobody, so the registry outlives the Model and its status."""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.common import (
    API_VERSION,
    LABEL_MANAGED_BY,
    LABEL_MODEL,
    LABEL_PART_OF,
    LABEL_TRAINING_RUN,
)
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.model.observed import Observed


def build_version(observed: Observed, run: Object, number: int) -> Manifest:
    """The version that `run` produced."""
    model = objects.name(observed.object)
    labels = {
        LABEL_MODEL: model,
        LABEL_TRAINING_RUN: objects.name(run),
        LABEL_MANAGED_BY: "mainspring",
        LABEL_PART_OF: "mainspring",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelVersion",
        "metadata": {"name": f"{model}-v{number}", "namespace": objects.namespace(observed.object), "labels": labels},
        "spec": _spec(observed, run, number).to_dict(),
    }


def _spec(observed: Observed, run: Object, number: int) -> ModelVersionSpec:
    status = objects.status(run)
    signature = status.get("signature") or {}
    facts: dict[str, Any] = {
        "model": objects.name(observed.object),
        "number": number,
        "artifact": status["artifact"],
        "runtimeImage": objects.spec(run).get("image") or observed.settings.runtime_image,
        "source": _source(observed, run),
        "task": signature.get("task"),
        "inputs": signature.get("inputs"),
        "outputs": signature.get("outputs"),
        "metrics": status.get("metrics"),
        "primary": _primary(status),
    }
    return ModelVersionSpec.model_validate({k: v for k, v in facts.items() if v is not None})


def _source(observed: Observed, run: Object) -> dict[str, Any]:
    lineage = objects.status(run).get("lineage") or {}
    data = (observed.dataset_versions or {}).get(lineage.get("datasetVersion", ""))
    facts = objects.spec(data) if data else {}
    source = {
        "trainingRun": objects.name(run),
        "trainingRunUid": objects.uid(run),
        "datasetVersion": lineage.get("datasetVersion"),
        "datasetDigest": lineage.get("datasetDigest"),
        "datasetUri": facts.get("uri"),
        "splitDigest": facts.get("splitDigest"),
        "dataCut": facts.get("dataCut"),
        "image": lineage.get("image"),
        "imageId": lineage.get("imageId"),
        "parameters": lineage.get("parameters"),
        "libraries": lineage.get("libraries"),
        "seed": lineage.get("seed"),
        "mustImprove": objects.spec(run).get("mustImprove") or None,
        "startedAt": objects.status(run).get("startTime"),
    }
    return {k: v for k, v in source.items() if v is not None}


def _primary(status: Any) -> str | None:
    """The name in `roc_auc 0.99 [0.98, 1]`."""
    text = status.get("primary")
    return text.split(" ", 1)[0] if text else None
