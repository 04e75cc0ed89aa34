"""Who is told what a ModelMonitor finds, and whether it was."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import ApiModel, Name, ShortText, Time, WebUrl, exactly_one, validations

ALERTS_MAX = 4
ALERT_ENTRIES_MAX = 64


class AlertEvent(StrEnum):
    """What can be told. Those of runs happen; the others begin, and are resolved when they are over."""

    DRIFT_DETECTED = "DriftDetected"
    QUALITY_DEGRADED = "QualityDegraded"
    PERFORMANCE_DEGRADED = "PerformanceDegraded"
    MONITOR_STALLED = "MonitorStalled"
    RETRAIN_STARTED = "RetrainStarted"
    RETRAIN_FAILED = "RetrainFailed"
    RETRAIN_REJECTED = "RetrainRejected"
    RETRAIN_PROMOTED = "RetrainPromoted"


class AlertFormat(StrEnum):
    GENERIC = "Generic"
    SLACK = "Slack"
    ALERTMANAGER = "Alertmanager"


class Webhook(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("url", "urlKey"),
            {
                "rule": "!has(self.url) || !self.url.startsWith('https://hooks.slack.com/')",
                "message": "the address of a Slack webhook is a secret: put it into the Secret mainspring-alerts and name its key in urlKey",
            },
        )
    )

    url: Annotated[WebUrl | None, Field(description="Where to, when the address is no secret.")] = None
    url_key: Annotated[
        str | None,
        Field(
            pattern="^[-._a-zA-Z0-9]+$",
            max_length=253,
            description="The key of the address in the Secret mainspring-alerts of this namespace.",
        ),
    ] = None
    format: Annotated[
        AlertFormat,
        Field(
            description="Generic JSON, what Slack and its like take, or the API of an Alertmanager (its base address)."
        ),
    ] = AlertFormat.GENERIC


class Alert(ApiModel):
    name: Annotated[Name, Field(description="How status and messages call it.")]
    webhook: Annotated[Webhook, Field(description="Who is told.")]
    events: Annotated[
        list[AlertEvent],
        Field(
            min_length=1,
            max_length=len(AlertEvent),
            json_schema_extra={"x-kubernetes-list-type": "set"},
            description="What is told.",
        ),
    ]
    resolved: Annotated[bool, Field(description="Also tell when it is over.")] = True


class AlertState(StrEnum):
    FIRING = "Firing"
    RESOLVED = "Resolved"
    HAPPENED = "Happened"


class AlertEntry(ApiModel):
    """One thing that is told by one alert, and whether it has been."""

    name: Annotated[Name, Field(description="The alert of the spec.")]
    event: Annotated[AlertEvent, Field(description="What is told.")]
    since: Annotated[Time, Field(description="When it began, or happened.")]
    run: Annotated[Name | None, Field(description="The TrainingRun that it is about.")] = None
    state: Annotated[AlertState, Field(description="Happened is what has no end.")]
    changed_at: Annotated[Time, Field(description="Since when it is in this state.")]
    delivered_at: Annotated[Time | None, Field(description="When this state was taken.")] = None
    attempts: Annotated[int, Field(description="How often it was sent in vain.")] = 0
    attempted_at: Annotated[Time | None, Field(description="The last time.")] = None
    next_attempt: Annotated[Time | None, Field(description="It is not sent before.")] = None
    error: Annotated[ShortText | None, Field(description="Why it was not taken; without the address.")] = None
    given_up: Annotated[
        int | None, Field(description="The generation of the spec with which it is not tried any more.")
    ] = None
