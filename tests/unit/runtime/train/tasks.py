"""Tasks as the operator writes them, for datasets in a local store, and the commands run on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.api.contract import ArtifactRef, DatasetFacts, ModelFacts, TrainReport, TrainTask
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.trainingrun import TrainingRunSpec
from mainspring_runtime import artifacts
from mainspring_runtime.train import command

IMAGE = "registry.example/runtime@sha256:" + "1" * 64


def silent(percent: int, stage: str) -> None:
    """A `say` that says nothing."""


def store(root: Path, directory: Path, name: str = "table-v1") -> ArtifactRef:
    """Publish a dataset directory below `root`."""
    published = artifacts.publish(directory, (root / "datasets").as_uri())
    return ArtifactRef(name=name, uri=published.uri, digest=published.digest)


def make_task(
    root: Path, dataset: Path, *, model: Mapping[str, Any] | None = None, seed: int = 7, **spec: Any
) -> TrainTask:
    """A task for the dataset in `dataset`; `spec` are fields of the TrainingRun, `model` of the Model."""
    facts = json.loads((dataset / "dataset.json").read_text())
    return TrainTask(
        namespace="lab",
        run="table-run",
        attempt=1,
        spec=TrainingRunSpec.model_validate({"dataset": {"name": "table"}, "model": "table", "seed": seed, **spec}),
        dataset=DatasetFacts(artifact=store(root, dataset), task=facts["task"], target=facts["target"]),
        model=ModelFacts(name="table", spec=ModelSpec.model_validate(dict(model or {}))),
        destination=(root / "models").as_uri(),
        image=IMAGE,
    )


def train(
    root: Path,
    dataset: Path,
    class_: str,
    *,
    threads: int = 1,
    evaluation: Mapping[str, Any] | None = None,
    seed: int = 7,
    **estimator: Any,
) -> TrainReport:
    """Run `train` for an estimator class."""
    task = make_task(
        root, dataset, seed=seed, estimator={"class": class_, **estimator}, evaluation=dict(evaluation or {})
    )
    return command.train(task, root / "work", threads, silent)


def directory_of(report: TrainReport) -> Path:
    """Where the published version lies on this machine."""
    return Path(report.uri.removeprefix("file://"))


def read_json(directory: Path, name: str) -> Any:
    return json.loads((directory / name).read_text())
