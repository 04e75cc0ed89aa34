"""A node is drained while a model is being trained: the attempt goes on elsewhere and is not held against the run."""

from __future__ import annotations

from mainspring.plan.common import objects
from tests.e2e import manifests
from tests.e2e.space import Space


def test_an_evicted_training_is_not_charged(space: Space) -> None:
    # No retries at all: an eviction that was charged would end the run.
    forest = {"class": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 300}}
    space.apply(manifests.dataset(), manifests.model(), manifests.run(retries=0, estimator=forest))
    pod = space.until_running(training_run="first")
    space.api.evict(pod)
    run = space.current("TrainingRun", "first", "Succeeded")
    assert [(a["number"], a["outcome"]) for a in run["status"]["attempts"]] == [(1, "Succeeded")]
    # Another pod of the same Job did it.
    (succeeded,) = [p for p in space.every("Pod", training_run="first") if objects.status(p)["phase"] == "Succeeded"]
    assert objects.uid(succeeded) != objects.uid(pod)
    assert run["status"]["modelVersion"] == "flowers-v1"
