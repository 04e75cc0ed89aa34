"""A real model version in a local store, made by the commands that make one in a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.api.contract import ArtifactRef, DatasetFacts, ModelFacts, TrainTask
from mainspring.api.v1alpha1.dataset import Task
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.trainingrun import TrainingRunSpec
from mainspring_runtime import artifacts
from mainspring_runtime.train import command

LOGISTIC_REGRESSION = {"class": "sklearn.linear_model.LogisticRegression"}


@dataclass(frozen=True)
class Version:
    """Where a published model version is."""

    uri: str
    digest: str


def train(dataset: Path, root: Path, target: str, estimator: dict[str, Any] = LOGISTIC_REGRESSION) -> Version:
    """Fit on a prepared dataset directory and publish below `root`."""
    published = artifacts.publish(dataset, (root / "datasets").as_uri())
    task = TrainTask(
        namespace="lab",
        run="run",
        attempt=1,
        spec=TrainingRunSpec.model_validate({"dataset": {"name": "d"}, "model": "m", "estimator": estimator}),
        dataset=DatasetFacts(
            artifact=ArtifactRef(name="d", uri=published.uri, digest=published.digest),
            task=Task.CLASSIFICATION,
            target=target,
        ),
        model=ModelFacts(name="m", spec=ModelSpec()),
        destination=(root / "models").as_uri(),
        image="image",
    )
    report = command.train(task, root / "work", 1, lambda percent, stage: None)
    return Version(report.uri, report.digest)
