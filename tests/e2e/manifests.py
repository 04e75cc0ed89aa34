"""What the journeys apply: small data and quick estimators, so that a loop takes seconds."""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.common import API_VERSION
from mainspring.plan.common.objects import Manifest

LOGISTIC = "sklearn.linear_model.LogisticRegression"
# Three rows of the iris data, one of each species.
FLOWERS = {
    "sepal_length_cm": [5.1, 6.0, 6.9],
    "sepal_width_cm": [3.5, 2.7, 3.1],
    "petal_length_cm": [1.4, 4.1, 5.4],
    "petal_width_cm": [0.2, 1.3, 2.1],
}
SPECIES = ["setosa", "versicolor", "virginica"]


def manifest(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def dataset(name: str = "flowers", **spec: Any) -> Manifest:
    return manifest("Dataset", name, {"source": {"sample": "iris"}, "target": "species", **spec})


def run(name: str = "first", data: str = "flowers", model: str = "flowers", **spec: Any) -> Manifest:
    estimator = {} if "container" in spec else {"estimator": {"class": LOGISTIC, "params": {"max_iter": 500}}}
    return manifest("TrainingRun", name, {"dataset": {"name": data}, "model": model, **estimator, **spec})


def model(name: str = "flowers", **spec: Any) -> Manifest:
    return manifest("Model", name, spec)


def service(name: str = "flowers", model: str = "flowers", **spec: Any) -> Manifest:
    return manifest("InferenceService", name, {"model": {"name": model}, **spec})


def monitor(name: str = "flowers", service: str = "flowers", **spec: Any) -> Manifest:
    """Reads often, so that a test need not wait."""
    return manifest("ModelMonitor", name, {"service": service, "interval": "5s", **spec})


def version(model: str, number: int, uri: str, digest: str) -> Manifest:
    """A version that a person imports."""
    spec = {"model": model, "number": number, "artifact": {"uri": uri, "digest": digest}}
    return manifest("ModelVersion", f"{model}-v{number}", spec)


def config_map(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def loop(**names: str) -> list[Manifest]:
    """Everything from data to service, applied at once, as people do."""
    return [dataset(), model(), run(), service()]
