"""Deleting things while they work: all that belongs to them goes, versions stay, and nothing is stuck."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import artifacts, manifests
from tests.e2e.space import Space

CHILDREN = ("Job", "Pod", "ConfigMap", "ServiceAccount", "Role", "RoleBinding")
SERVING = ("Deployment", "Pod", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget")


def test_what_is_deleted_while_it_works_goes_with_all_its_parts(space: Space, flower_model: Path) -> None:
    space.apply(manifests.dataset(), manifests.model())
    artifacts.import_version(space, flower_model)

    # A Dataset that is being prepared.
    space.apply(manifests.dataset("petals"))
    space.until_running(dataset="petals")
    space.delete("Dataset", "petals")
    for kind in CHILDREN:
        space.until_gone(kind, dataset="petals")
    assert not space.every("DatasetVersion", dataset="petals")

    # A run that is training; the data that it reads stays.
    data = space.current("Dataset", "flowers", "Current")["status"]["current"]
    forest = {"class": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 300}}
    space.apply(manifests.run(estimator=forest))
    space.until_running(training_run="first")
    space.delete("TrainingRun", "first")
    for kind in CHILDREN:
        space.until_gone(kind, training_run="first")

    # A service that is rolled out; the model stays.
    space.apply(manifests.service())
    space.until_found("Deployment", inference_service="flowers")
    space.delete("InferenceService", "flowers")
    for kind in SERVING:
        space.until_gone(kind, inference_service="flowers")

    # Versions are history: they outlive what they were made from.
    space.delete("Dataset", "flowers")
    space.delete("Model", "flowers")
    space.until_gone("Dataset")
    space.until_gone("Model")
    assert space.exists("DatasetVersion", data)
    assert space.exists("ModelVersion", "flowers-v1")
    told = space.in_progress("ModelVersion", "flowers-v1", "ModelNotFound", ["Model flowers", "spec.model"])
    assert not told["metadata"].get("finalizers")

    # The same names again, as a user who changed his mind.
    space.apply(manifests.model(), manifests.service())
    space.current("InferenceService", "flowers", "Serving", heals=True)
    assert space.get("Model", "flowers")["status"]["champion"] == "flowers-v1"
