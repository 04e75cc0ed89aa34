"""What a ModelMonitor's plan looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mainspring.api.monitoring import Reference, Snapshot
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object
from mainspring.plan.common.plan import Delivery
from mainspring.plan.common.settings import Settings
from mainspring.plan.modelmonitor.state import State


@dataclass(frozen=True)
class Reading:
    """What the pods of the served version said just now, by pod.

    `gone` is what servers said last that are there no longer. `silent` names those that did not answer, with why;
    `unsuitable` is why no pod can be read at all, in one word and a sentence; `waiting` what is waited for until then.
    `note` is what is missing from it for good.
    """

    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    gone: Mapping[str, Snapshot] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    leaving: bool = False  # pods are on their way out, and say more until they are
    reference: Reference | None = None
    unsuitable: tuple[str, str] | None = None
    waiting: tuple[str, str] | None = None
    note: str = ""


@dataclass(frozen=True)
class Labelled:
    """What labels from a Dataset need: the Dataset with its current version, and the Jobs that join, oldest first."""

    dataset: Object | None = None
    version: Object | None = None
    jobs: tuple[JobState, ...] = ()
    job_children: tuple[Object, ...] = ()


@dataclass(frozen=True)
class Observed:
    object: Object
    spec: ModelMonitorSpec
    settings: Settings
    state: State | None = None
    history: Object | None = None  # the ConfigMap of windows that are over
    service: Object | None = None
    version: Object | None = None  # the ModelVersion that answers
    model: Object | None = None
    versions: tuple[Object, ...] = ()  # of the model
    dataset: Object | None = None  # of the retrain template
    dataset_versions: tuple[Object, ...] = ()
    runs: tuple[Object, ...] = ()  # started by this monitor, oldest first
    reading: Reading = Reading()
    labelled: Labelled = Labelled()
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)  # what became of notices, by key
