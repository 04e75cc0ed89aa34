"""What an InferenceService's plan looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mainspring.api.splitting import SplitSnapshot
from mainspring.api.v1alpha1.common import LABEL_MODEL_VERSION, LABEL_REVISION
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.common.settings import Settings
from mainspring.plan.inferenceservice.analysis import Labels


@dataclass(frozen=True)
class Failure:
    """Why pods of a revision do not serve."""

    reason: str
    message: str
    exit_code: int | None = None


@dataclass(frozen=True)
class Revision:
    """One Deployment with what its pods say."""

    deployment: Object
    failure: Failure | None = None
    pods: tuple[Object, ...] = ()

    @property
    def hash(self) -> str:
        return objects.labels(self.deployment)[LABEL_REVISION]

    @property
    def version(self) -> str:
        return objects.annotations_of(self.deployment).get(LABEL_MODEL_VERSION, "")

    @property
    def replicas(self) -> int:
        return int(objects.spec(self.deployment).get("replicas", 1))

    @property
    def ready(self) -> int:
        return int(objects.status(self.deployment).get("readyReplicas", 0))

    @property
    def created_at(self) -> datetime:
        return objects.created_at(self.deployment)

    def serves(self, wanted: int) -> bool:
        """All wanted pods are ready, and the Deployment controller has seen the latest spec."""
        seen = int(objects.status(self.deployment).get("observedGeneration", 0)) >= objects.generation(self.deployment)
        updated = int(objects.status(self.deployment).get("updatedReplicas", 0)) >= wanted
        return seen and updated and self.ready >= wanted


@dataclass(frozen=True)
class Counts:
    """What was read for the rollout that goes on."""

    snapshots: Mapping[str, SplitSnapshot] = field(default_factory=dict)  # by stable pod, what it said last
    gone: tuple[SplitSnapshot, ...] = ()  # last words of processes that are no more
    unsuitable: str = ""  # why the stable pods cannot split at all
    stable_labels: Mapping[str, Labels] = field(default_factory=dict)  # by process
    candidate_labels: Labels | None = None
    readings: Mapping[str, float | None] = field(default_factory=dict)  # by query; None: no data
    prometheus_problem: str = ""  # why it cannot be asked


@dataclass(frozen=True)
class Rate:
    """Of one pod, on average over the last seconds."""

    concurrency: float  # requests that were being answered
    requests_per_second: float


@dataclass(frozen=True)
class Loads:
    """What the ready pods of the stable revision have to do."""

    rates: Mapping[str, Rate | None] = field(default_factory=dict)  # by pod; None: it answered for the first time
    silent: frozenset[str] = frozenset()  # pods that did not answer


@dataclass(frozen=True)
class Observed:
    object: Object
    spec: InferenceServiceSpec
    settings: Settings
    model: Object | None = None
    version: Object | None = None  # the ModelVersion to serve
    dataset_version: Object | None = None  # what it learned from
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    service: Object | None = None
    candidate_service: Object | None = None
    split: Object | None = None  # the ConfigMap
    counts: Counts = Counts()
    loads: Loads = Loads()
    autoscaler: Object | None = None
    route: Object | None = None
    has_gateways: bool = True  # the cluster has the Gateway API
