"""What a ModelVersion's plan looks at."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings


@dataclass(frozen=True)
class Observed:
    object: Object
    spec: ModelVersionSpec
    settings: Settings
    model: Object | None = None
    model_spec: ModelSpec | None = None
    champion: Object | None = None  # the Model's present champion
    dataset_version: Object | None = None
    champion_dataset_version: Object | None = None
    jobs: tuple[JobState, ...] = ()
    doubt: str = ""  # a service could not verify its signature: which one, and when
    mismatch: str = ""  # a service found other bytes than the digest says: its message
    job_children: tuple[Object, ...] = ()
