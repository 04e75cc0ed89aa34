"""What a Model's plan looks at."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings


@dataclass(frozen=True)
class Observed:
    object: Object
    spec: ModelSpec
    settings: Settings
    versions: tuple[Object, ...] = ()  # its ModelVersions, by number
    unregistered: tuple[Object, ...] = ()  # TrainingRuns with an artifact and no version yet, oldest first
    dataset_versions: dict[str, Object] | None = None  # by name, those that the unregistered runs used
    prover: Object | None = None  # the InferenceService that promotion.provenBy names
    served: frozenset[str] = frozenset()  # versions that a service has as stable or candidate, or is fixed on
