"""What became of the runs that a monitor started. Read from the runs and versions, so that losing a status loses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from mainspring.api.v1alpha1.common import (
    ANNOTATION_FINISHED,
    ANNOTATION_RETRAIN_CHAMPION,
    ANNOTATION_RETRAIN_NEED,
    ANNOTATION_RETRAIN_NUMBER,
    ANNOTATION_RETRAIN_REASON,
    ANNOTATION_RETRAIN_ROWS,
)
from mainspring.api.v1alpha1.modelmonitor import RETRAINS_MAX
from mainspring.api.v1alpha1.retraining import RetrainEntry, RetrainTrigger
from mainspring.plan.common import gates, objects
from mainspring.plan.common.objects import Object


def need_of(run: Object) -> str:
    """When the need began for which it was started."""
    return objects.annotations_of(run).get(ANNOTATION_RETRAIN_NEED, "")


def dataset_version_of(run: Object) -> str:
    return str(objects.spec(run)["dataset"].get("version", ""))


def ended_at(run: Object) -> datetime | None:
    """None while it is under way. Of a run that lost its status nobody knows better than when it was made."""
    if ANNOTATION_FINISHED not in objects.annotations_of(run):
        return None
    told = objects.status(run).get("completionTime")
    return objects.parse_time(told) if told else objects.created_at(run)


def version_of(run: Object, versions: Iterable[Object]) -> Object | None:
    """The version that came of it."""
    name = objects.status(run).get("modelVersion")
    for version in versions:
        made_from = (objects.spec(version).get("source") or {}).get("trainingRunUid")
        if objects.name(version) == name or made_from == objects.uid(run):
            return version
    return None


def entries(runs: Iterable[Object], versions: Iterable[Object]) -> list[RetrainEntry]:
    """The last of them, oldest first."""
    known = tuple(versions)
    return [_entry(run, version_of(run, known)) for run in [*runs][-RETRAINS_MAX:]]


def started(runs: Iterable[Object], before: Mapping[str, int]) -> dict[str, int]:
    """How many runs were ever started, by reason; it only grows.

    Runs carry their number, so none counts twice when a write is lost, and `before`, which is what status says, is
    good for those that were deleted.
    """
    total = dict(before)
    for run in runs:
        notes = objects.annotations_of(run)
        reason, number = notes[ANNOTATION_RETRAIN_REASON], int(notes.get(ANNOTATION_RETRAIN_NUMBER, "1"))
        total[reason] = max(total.get(reason, 0), number)
    return dict(sorted(total.items()))


def _entry(run: Object, version: Object | None) -> RetrainEntry:
    notes = objects.annotations_of(run)
    return RetrainEntry(
        run=objects.name(run),
        reason=RetrainTrigger(notes[ANNOTATION_RETRAIN_REASON]),
        champion=notes.get(ANNOTATION_RETRAIN_CHAMPION, ""),
        dataset_version=dataset_version_of(run),
        new_rows=int(notes.get(ANNOTATION_RETRAIN_ROWS, "0")),
        time=objects.format_time(objects.created_at(run)),
        outcome=_outcome(run, version),
        version=objects.name(version) if version is not None else None,
    )


def _outcome(run: Object, version: Object | None) -> str:
    finished = objects.annotations_of(run).get(ANNOTATION_FINISHED)
    if finished != "Succeeded":
        return "Failed" if finished else "Running"
    if version is None:
        return "Waiting"
    if gates.promoted_at(version):
        return "Promoted"
    return "Rejected" if gates.is_out(version) else "Waiting"
