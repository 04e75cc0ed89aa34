"""Retraining, as a ModelMonitor declares it and tells it: triggers open a need, a need leads to TrainingRuns."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import (
    ApiModel,
    Cron,
    Duration,
    Name,
    Text,
    Time,
    TimeZone,
    VersionName,
    validations,
)
from mainspring.api.v1alpha1.trainingrun import TrainingRunSpec


class RetrainTrigger(StrEnum):
    PERFORMANCE_DEGRADED = "PerformanceDegraded"
    DRIFT_DETECTED = "DriftDetected"
    SCHEDULE = "Schedule"


class RunTemplate(ApiModel):
    spec: Annotated[
        TrainingRunSpec,
        Field(description="Of the TrainingRuns that are started. The Dataset's version is chosen by the monitor."),
    ]


class Budget(ApiModel):
    runs: Annotated[int, Field(ge=1, le=100, description="At most so many runs")] = 3
    per: Annotated[Duration, Field(description="in this time.")] = "24h"


class Retrain(ApiModel):
    """A trigger opens a need. A run starts once there is something new to learn from."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "has(self.schedule) == self.triggers.exists(t, t == 'Schedule')",
                "message": "set schedule, and name Schedule among the triggers: both or neither",
            },
        )
    )

    triggers: Annotated[
        list[RetrainTrigger],
        Field(
            min_length=1,
            max_length=3,
            json_schema_extra={"x-kubernetes-list-type": "set"},
            description="What opens a need. Drift alone does not, unless it stands here.",
        ),
    ] = [RetrainTrigger.PERFORMANCE_DEGRADED]
    schedule: Annotated[
        Cron | None, Field(description="When the trigger Schedule opens a need: a five-field cron expression.")
    ] = None
    time_zone: Annotated[TimeZone, Field(description="IANA time zone of the schedule.")] = "UTC"
    template: Annotated[RunTemplate, Field(description="What to run.")]
    minimum_new_rows: Annotated[
        int,
        Field(ge=1, le=100_000_000, description="Labelled rows that are newer than what the champion was trained on."),
    ] = 500
    refresh_dataset: Annotated[
        bool, Field(description="Ask the Dataset to look for new data; false: it has a schedule of its own.")
    ] = True
    refresh_every: Annotated[Duration, Field(description="How often to look for new data while there is a need.")] = (
        "1h"
    )
    cooldown: Annotated[Duration, Field(description="Pause after the end of a run.")] = "6h"
    budget: Annotated[Budget, Field(description="A limit for all runs of this monitor.")] = Budget()
    max_attempts: Annotated[
        int,
        Field(
            ge=1, le=100, description="Runs for one need that may fail or be no better, before a person has to look."
        ),
    ] = 5


class Need(ApiModel):
    """Why the model should be trained anew."""

    reason: Annotated[RetrainTrigger, Field(description="What opened it.")]
    message: Annotated[Text, Field(description="The evidence.")]
    since: Annotated[Time, Field(description="When.")]
    champion: Annotated[VersionName, Field(description="The version that was served then.")]
    refreshed_at: Annotated[Time | None, Field(description="When new data was last asked for.")] = None


class EndedNeed(ApiModel):
    """A need that is over: how long the model was not as it should be."""

    reason: Annotated[RetrainTrigger, Field(description="What opened it.")]
    since: Annotated[Time, Field(description="When it was opened.")]
    until: Annotated[Time, Field(description="When it ended.")]
    outcome: Annotated[
        str,
        Field(
            pattern="^(Replaced|Recovered)$",
            max_length=16,
            description="Replaced: another version is served. Recovered: a whole season was well by itself.",
        ),
    ]


class RetrainEntry(ApiModel):
    run: Annotated[Name, Field(description="The TrainingRun.")]
    reason: Annotated[RetrainTrigger, Field(description="Why it was started.")]
    champion: Annotated[VersionName, Field(description="What it was to improve on.")]
    dataset_version: Annotated[VersionName, Field(description="What it learned from.")]
    new_rows: Annotated[int, Field(description="Labelled rows that the champion had not seen.")]
    time: Annotated[Time, Field(description="When it was decided.")]
    outcome: Annotated[
        str,
        Field(pattern="^(Running|Promoted|Rejected|Failed|Waiting)$", max_length=16, description="What came of it."),
    ] = "Running"
    version: Annotated[VersionName | None, Field(description="The version that came of it.")] = None
