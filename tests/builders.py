"""Small builders of objects, valid against the CRDs. Users' manifests first, then what an API server would store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mainspring.api.v1alpha1.common import API_VERSION
from mainspring.plan.common.objects import Manifest
from mainspring.plan.common.settings import Settings

NAMESPACE = "lab"
NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
SETTINGS = Settings(
    runtime_image="runtime:1", jobs_image="jobs:1", namespace="mainspring-system", artifacts_uri="s3://artifacts"
)
UPGRADED = Settings(
    runtime_image="runtime:2", jobs_image="jobs:2", namespace="mainspring-system", artifacts_uri="s3://artifacts"
)
FOREST = "sklearn.ensemble.RandomForestClassifier"


def manifest(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": spec,
    }


def dataset(name: str = "tumours", **spec: Any) -> Manifest:
    return manifest("Dataset", name, {"source": {"sample": "breast_cancer"}, "target": "diagnosis", **spec})


def run(name: str = "forest", **spec: Any) -> Manifest:
    estimator = {} if "container" in spec else {"estimator": {"class": FOREST}}
    return manifest("TrainingRun", name, {"dataset": {"name": "tumours"}, "model": "tumours", **estimator, **spec})


def model(name: str = "tumours", **spec: Any) -> Manifest:
    return manifest("Model", name, spec)


def service(name: str = "tumours", **spec: Any) -> Manifest:
    return manifest("InferenceService", name, {"model": {"name": "tumours"}, **spec})


def version(number: int = 1, model: str = "tumours", **spec: Any) -> Manifest:
    """A ModelVersion that somebody imports."""
    return manifest("ModelVersion", f"{model}-v{number}", {"model": model, "number": number, **spec})
