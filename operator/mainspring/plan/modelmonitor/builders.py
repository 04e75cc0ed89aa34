"""What a ModelMonitor makes: the ConfigMaps of its memory and of its history, and TrainingRuns."""

from __future__ import annotations

from mainspring.api.v1alpha1.common import (
    ANNOTATION_REFRESH,
    ANNOTATION_RETRAIN_CHAMPION,
    ANNOTATION_RETRAIN_MESSAGE,
    ANNOTATION_RETRAIN_NEED,
    ANNOTATION_RETRAIN_NUMBER,
    ANNOTATION_RETRAIN_REASON,
    ANNOTATION_RETRAIN_ROWS,
    API_VERSION,
    LABEL_MONITOR,
    NAME_MAX,
)
from mainspring.api.v1alpha1.retraining import Need, Retrain, RetrainTrigger
from mainspring.plan.common import objects, pods
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.common.plan import Patch, annotate
from mainspring.plan.modelmonitor import records
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor.evaluation import Evaluation
from mainspring.plan.modelmonitor.windows import Closed

COMPONENT = "monitor"
HASH_CHARACTERS = 8
REFRESH_MANAGER = "mainspring-monitor"


def memory_name(monitor: str) -> str:
    return f"{monitor}-windows"


def history_name(monitor: str) -> str:
    return f"{monitor}-history"


def labels(monitor: Object) -> dict[str, str]:
    name = objects.name(monitor)
    return pods.standard_labels(COMPONENT, name, {LABEL_MONITOR: name})


def build_memory(monitor: Object, written: str) -> Manifest:
    """`written` is a state as `state.write` gives it."""
    name = memory_name(objects.name(monitor))
    return pods.child(monitor, "v1", "ConfigMap", name, labels(monitor), binaryData={states.KEY: written})


def build_history(monitor: Object, before: Object | None, closed: Closed, version: str, result: Evaluation) -> Manifest:
    """With this window in the history that there is."""
    name = history_name(objects.name(monitor))
    data = records.with_window(before, closed, version, result)
    return pods.child(monitor, "v1", "ConfigMap", name, labels(monitor), data=data)


def build_run(
    monitor: Object, asked: Retrain, need: Need, dataset_version: Object, new_rows: int, number: int
) -> Manifest:
    """Its name follows from the need and the data: the same decision makes the same run. It is the `number`-th of its reason."""
    version = objects.name(dataset_version)
    spec = asked.template.spec.to_dict()
    spec["dataset"] = {**spec["dataset"], "version": version}
    if need.reason is not RetrainTrigger.SCHEDULE:
        # Judged where the change is: on the newest rows, and only a proof will do.
        spec["mustImprove"] = True
    run = pods.child(monitor, API_VERSION, "TrainingRun", _run_name(monitor, need, version), labels(monitor), spec=spec)
    run["metadata"]["annotations"] = {
        ANNOTATION_RETRAIN_REASON: need.reason,
        ANNOTATION_RETRAIN_MESSAGE: need.message,
        ANNOTATION_RETRAIN_NEED: need.since,
        ANNOTATION_RETRAIN_CHAMPION: need.champion,
        ANNOTATION_RETRAIN_ROWS: str(new_rows),
        ANNOTATION_RETRAIN_NUMBER: str(number),
    }
    return run


def _run_name(monitor: Object, need: Need, dataset_version: str) -> str:
    suffix = objects.stable_hash([need.since, need.champion, dataset_version], HASH_CHARACTERS)
    return f"{objects.name(monitor)[: NAME_MAX - HASH_CHARACTERS - 1].rstrip('-')}-{suffix}"


def refresh(dataset: Object, at: str) -> Patch:
    """Asks a Dataset to look for new data, as a person would."""
    return annotate(objects.ref(dataset), objects.uid(dataset), {ANNOTATION_REFRESH: at}, REFRESH_MANAGER)
