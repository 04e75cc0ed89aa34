"""What a Dataset's plan looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings


@dataclass(frozen=True)
class Observed:
    object: Object
    spec: DatasetSpec
    settings: Settings
    jobs: tuple[JobState, ...] = ()  # oldest first
    versions: tuple[Object, ...] = ()  # DatasetVersions, oldest first
    inputs: Mapping[str, Object | None] = field(default_factory=dict)  # Dataset name → its current version
    in_use: frozenset[str] = frozenset()  # versions that a run or a model refers to
    job_children: tuple[Object, ...] = ()  # ConfigMaps, ServiceAccounts, Roles, RoleBindings of its Jobs
