"""How many pods an InferenceService has by itself, and what is told of that."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import ApiModel, ShortDuration, Time, duration_between, validations

RECENT_MAX = 32
TARGET_MAX = 1_000_000


class ScalingMetric(StrEnum):
    CPU = "CPU"
    MEMORY = "Memory"
    CONCURRENCY = "Concurrency"
    REQUESTS_PER_SECOND = "RequestsPerSecond"


OF_RESOURCES = frozenset({ScalingMetric.CPU, ScalingMetric.MEMORY})  # what Kubernetes measures, and scales by itself


class ScalingBehaviour(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(duration_between("autoscaling.behaviour", "scaleDownDelay", "0s", "1h"))
    )

    scale_down_delay: Annotated[
        ShortDuration, Field(description="Pods go when none of them was needed for so long, 0s to 1h.")
    ] = "5m"


class Autoscaling(ApiModel):
    """As many pods as the load needs."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "self.minReplicas <= self.maxReplicas",
                "message": "autoscaling.maxReplicas must be at least autoscaling.minReplicas",
            },
            {
                "rule": "!(self.metric in ['CPU', 'Memory']) || self.target <= 1000",
                "message": "autoscaling.target of CPU and Memory is percent of resources.requests, at most 1000",
            },
        )
    )

    min_replicas: Annotated[int, Field(ge=1, le=1000, description="Never fewer; `stop` is what stops a service.")] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000, description="Never more.")]
    metric: Annotated[
        ScalingMetric,
        Field(
            description="CPU, Memory: a HorizontalPodAutoscaler, which needs a metrics server. Concurrency: requests that are being answered at the same time; RequestsPerSecond: what comes in; both counted by Mainspring's own server, without further parts."
        ),
    ] = ScalingMetric.CPU
    target: Annotated[
        int,
        Field(
            ge=1,
            le=TARGET_MAX,
            description="What one pod shall have of it: percent of resources.requests (CPU, Memory), requests at the same time, or requests a second.",
        ),
    ]
    behaviour: Annotated[ScalingBehaviour, Field(description="How fast.")] = ScalingBehaviour()


class RecentSize(ApiModel):
    at: Annotated[Time, Field(description="Until then, at least; rounded up.")]
    pods: Annotated[int, Field(description="That were needed.")]


class ScalingStatus(ApiModel):
    """What the autoscaler wants."""

    metric: ScalingMetric
    target: Annotated[int, Field(description="For each pod.")]
    desired: Annotated[int, Field(description="Pods that the stable revision shall have.")]
    measured: Annotated[
        float | None, Field(description="Of all pods together; of CPU and Memory the percentage of a pod.")
    ] = None
    since: Annotated[Time | None, Field(description="When `desired` changed last.")] = None
    raised_from: Annotated[int | None, Field(description="Pods before the last rise, which at most doubles them,")] = (
        None
    )
    raised_at: Annotated[Time | None, Field(description="every 15 s.")] = None
    recent: Annotated[
        list[RecentSize] | None,
        Field(max_length=RECENT_MAX, description="What was needed within scaleDownDelay; the most of it stays."),
    ] = None
