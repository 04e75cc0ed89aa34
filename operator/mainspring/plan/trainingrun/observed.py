"""What a TrainingRun's plan looks at."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.api.v1alpha1.trainingrun import TrainingRunSpec
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings


@dataclass(frozen=True)
class Observed:
    object: Object
    spec: TrainingRunSpec
    settings: Settings
    jobs: tuple[JobState, ...] = ()  # by attempt
    dataset: Object | None = None
    dataset_version: Object | None = None  # the one decided for this run, else the pinned, else the current one
    model: Object | None = None
    model_version: Object | None = None  # registered from this run, or the known one that it reproduced
    job_children: tuple[Object, ...] = ()
