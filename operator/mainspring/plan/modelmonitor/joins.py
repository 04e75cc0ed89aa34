"""One join of labels from a Dataset to logged predictions: what it is about, what stands in its way, and its Job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mainspring.api import contract
from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.common import (
    ANNOTATION_UNTIL,
    LABEL_DATASET_VERSION,
    LABEL_MODEL_VERSION,
    LABEL_MONITOR,
)
from mainspring.api.v1alpha1.datasetversion import DatasetVersionSpec
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.modelmonitor import Labels
from mainspring.plan.common import conditions, jobs, objects, payloads, pods
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.modelmonitor.observed import Labelled, Observed

COMPONENT = "join"
HASH_CHARACTERS = 6
FIELD = "spec.performance.labels"


@dataclass(frozen=True)
class Case:
    """A monitor that wants labels from a Dataset, and the version that it watches."""

    observed: Observed
    wanted: Labels
    version: str
    reference: Reference

    @property
    def labelled(self) -> Labelled:
        return self.observed.labelled

    @property
    def service(self) -> InferenceServiceSpec:
        return InferenceServiceSpec.model_validate(objects.spec(self.observed.service or {}))

    @property
    def key(self) -> str | None:
        declared = objects.spec(self.labelled.dataset or {}).get("key")
        return self.wanted.key or (str(declared) if declared else None)

    @property
    def data_version(self) -> Object:
        assert self.labelled.version is not None  # PROBLEMS said so
        return self.labelled.version

    @property
    def data(self) -> DatasetVersionSpec:
        return DatasetVersionSpec.model_validate(objects.spec(self.data_version))

    @property
    def slices(self) -> list[str]:
        """Those that every part of the log has."""
        return [name for name in self._asked_slices if name not in self.refused_slices]

    @property
    def refused_slices(self) -> dict[str, str]:
        """Why, by name."""
        log, inputs = self.service.payload_log, {column.name for column in self.reference.columns}
        redacted = set((log.redact if log else None) or ())
        found = {name: "is no input of the model" for name in self._asked_slices if name not in inputs}
        return found | {name: "is redacted" for name in self._asked_slices if name in redacted}

    @property
    def _asked_slices(self) -> list[str]:
        return (self.observed.spec.performance.slices if self.observed.spec.performance else None) or []

    @property
    def season(self) -> timedelta:
        return objects.parse_duration(self.observed.spec.season)

    @property
    def delay(self) -> timedelta:
        return objects.parse_duration(self.wanted.delay)

    @property
    def every(self) -> timedelta:
        return objects.parse_duration(self.wanted.every or self.observed.spec.window.length)


@dataclass(frozen=True)
class Join:
    """One join: what it is about, and the name that follows from it."""

    case: Case
    until: datetime

    @property
    def since(self) -> datetime:
        return self.until - self.case.season

    @property
    def family(self) -> str:
        """Of joins that differ by their time alone."""
        case = self.case
        facts: list[Any] = [
            case.version,
            case.reference.digest,
            objects.name(case.data_version),
            case.key,
            case.wanted.delay,
        ]
        resources = case.wanted.resources.to_dict() if case.wanted.resources else None
        facts += [case.slices, case.observed.spec.season, resources, case.observed.settings.jobs_image]
        name = objects.name(case.observed.object)
        return f"{name}-labels-{objects.stable_hash(facts, HASH_CHARACTERS)}"

    def is_kin(self, name: str) -> bool:
        return name.startswith(f"{self.family}-")

    @property
    def name(self) -> str:
        return f"{self.family}-{objects.stable_hash(objects.format_time(self.until), HASH_CHARACTERS)}"


# ---- What stands in the way: a reason, and a sentence that names the field

Problem = tuple[str, str] | None


def _dataset_there(case: Case) -> Problem:
    if case.labelled.dataset is None:
        return "DatasetNotFound", f"waits for Dataset {case.wanted.dataset} ({FIELD}.dataset): create it or correct it"
    if case.labelled.version is None:
        told = objects.condition(case.labelled.dataset, conditions.READY) or {}
        return "NoDatasetVersion", f"Dataset {case.wanted.dataset} has no valid version yet: {told.get('message', '')}"
    return None


def _key_there(case: Case) -> Problem:
    name = case.wanted.dataset
    if case.key is None:
        return "NoKey", f"Dataset {name} has no key to join by: set its spec.key, or {FIELD}.key here"
    columns = {column.name for column in case.data.columns}
    complete = (case.data.column_count or len(columns)) <= len(columns)
    if columns and complete and case.key not in columns:
        field = f"{FIELD}.key" if case.wanted.key else f"spec.key of Dataset {name}"
        return "KeyNotFound", f"Dataset {name} has no column {case.key!r} ({field}): correct it"
    return None


def _same_task(case: Case) -> Problem:
    if case.reference.task in (None, case.data.task):
        return None
    text = f"the target of Dataset {case.wanted.dataset} is for {case.data.task}, ModelVersion {case.version} does {case.reference.task}: name another Dataset in {FIELD}.dataset"
    return "OtherTask", text


def _key_sent(case: Case) -> Problem:
    if case.reference.key is None:
        text = f"ModelVersion {case.version} takes no key from its callers: set spec.key of the Dataset that it is trained on, and train it anew"
        return "ModelWithoutKey", text
    return None


def _logged(case: Case) -> Problem:
    name, log = case.observed.spec.service, case.service.payload_log
    if log is None:
        return "NoPayloadLog", f"InferenceService {name} logs no predictions: set its spec.payloadLog"
    if case.reference.key in (log.redact or ()):
        return (
            "KeyRedacted",
            f"InferenceService {name} does not log the key {case.reference.key!r}: remove it from its spec.payloadLog.redact",
        )
    if objects.parse_duration(log.keep) < case.delay + case.season + case.every:
        text = f"InferenceService {name} keeps predictions for {log.keep} (spec.payloadLog.keep): labels need {case.wanted.delay} ({FIELD}.delay), and then a season of {case.observed.spec.season}"
        return "KeptTooShortly", text
    refused = (s.payloads.reason for s in case.observed.reading.snapshots.values() if s.payloads is not None)
    return next((("PayloadLogStopped", f"InferenceService {name} logs nothing: {why}") for why in refused if why), None)


PROBLEMS: tuple[Callable[[Case], Problem], ...] = (_dataset_there, _key_there, _same_task, _key_sent, _logged)


# ---- The Job


def build_job(join: Join) -> tuple[Manifest, ...]:
    case, observed = join.case, join.case.observed
    name = objects.name(observed.object)
    labels = {
        LABEL_MONITOR: name,
        LABEL_MODEL_VERSION: case.version,
        LABEL_DATASET_VERSION: objects.name(case.data_version),
    }
    request = jobs.JobRequest(
        owner=observed.object,
        name=join.name,
        labels=pods.standard_labels(COMPONENT, name, labels),
        image=observed.settings.jobs_image,
        command="join",
        task=_task(join),
        resources=case.wanted.resources,
    )
    *needed, job = jobs.build_job(request, observed.settings)
    job["metadata"]["annotations"] = {ANNOTATION_UNTIL: objects.format_time(join.until)}
    return (*needed, job)


def _task(join: Join) -> contract.JoinTask:
    case, reference = join.case, join.case.reference
    namespace = objects.namespace(case.observed.object)
    prediction = reference.prediction
    return contract.JoinTask(
        namespace=namespace,
        monitor=objects.name(case.observed.object),
        log=payloads.log_uri(case.observed.settings, namespace, case.observed.spec.service),
        model=reference.model,
        version=reference.version,
        digest=reference.digest,
        since=objects.format_time(join.since),
        until=objects.format_time(join.until),
        dataset=contract.ArtifactRef(name=objects.name(case.data_version), uri=case.data.uri, digest=case.data.digest),
        key=case.key or "",
        target=case.data.target,
        classes=reference.classes,
        positive=prediction.positive if prediction else None,
        slices=case.slices,
        score_bins=len(prediction.edges) + 1 if prediction and prediction.edges is not None else 0,
    )
