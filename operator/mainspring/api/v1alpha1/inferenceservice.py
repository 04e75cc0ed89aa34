"""InferenceService: a model served over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import (
    ApiModel,
    Column,
    ColumnName,
    Duration,
    Image,
    Kind,
    Name,
    ObjectName,
    Opaque,
    PodTemplate,
    Resources,
    ShortDuration,
    ShortText,
    StatusBase,
    Time,
    VersionName,
    duration_between,
    validations,
)
from mainspring.api.v1alpha1.rollouts import (
    METRICS_MAX,
    Cause,
    MetricVerdict,
    Outcome,
    RolloutPolicy,
    RolloutStatus,
)
from mainspring.api.v1alpha1.scaling import Autoscaling, ScalingStatus


class ModelRef(ApiModel):
    """Which version to serve: the Model's champion, another alias, or one fixed version."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "has(self.name) != has(self.version)",
                "message": "set model.name (follows the champion or model.alias) or model.version (stays on that version)",
            },
            {"rule": "!has(self.alias) || has(self.name)", "message": "model.alias needs model.name"},
        )
    )

    name: Annotated[Name | None, Field(description="A Model; its champion is served.")] = None
    alias: Annotated[
        str | None, Field(max_length=63, description="An alias of that Model instead of its champion.")
    ] = None
    version: Annotated[VersionName | None, Field(description="A ModelVersion to stay on.")] = None


class Runtime(ApiModel):
    image: Annotated[
        Image,
        Field(
            description="Any image that serves the Open Inference Protocol v2 on port 8080; default: the version's own runtime."
        ),
    ]


# As the Gateway API has them: at least two labels, the first may be a star.
Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]


class Gateway(ApiModel):
    """A Gateway (gateway.networking.k8s.io/v1) that allows routes from this namespace."""

    name: Annotated[ObjectName, Field(description="Its name.")]
    namespace: Annotated[str | None, Field(max_length=63, description="Where it is; default: here.")] = None
    section_name: Annotated[
        ObjectName | None, Field(description="One of its listeners; default: all that allow it.")
    ] = None


class Expose(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "!has(self.hostnames) || has(self.gateway)",
                "message": "expose.hostnames needs expose.gateway, which has the listeners",
            }
        )
    )

    gateway: Annotated[Gateway | None, Field(description="Make an HTTPRoute of that Gateway to this service.")] = None
    hostnames: Annotated[
        list[Hostname] | None,
        Field(min_length=1, max_length=16, description="That the route answers to; default: those of the listener."),
    ] = None
    from_: Annotated[
        list[Opaque] | None,
        Field(
            alias="from", max_length=16, description="NetworkPolicy peers that may reach port 8080; default: anybody."
        ),
    ] = None


class PayloadLog(ApiModel):
    """A sample of what was asked and answered, as Parquet files in the artifact store. It never delays a request."""

    sample_rate: Annotated[
        float,
        Field(ge=0.0001, le=1.0, description="Share of requests, chosen by their id: the same ones in every pod."),
    ] = 0.1
    redact: Annotated[
        list[ColumnName] | None,
        Field(
            max_length=200,
            description="Inputs that are never written. A name that is no input stops the log: it may be a misspelt one.",
        ),
    ] = None
    max_part_age: Annotated[Duration, Field(description="A file is written when its first row is so old,")] = "5m"
    max_part_rows: Annotated[
        int, Field(ge=100, le=100_000, description="or when it has so many rows, whichever comes first.")
    ] = 10_000
    keep: Annotated[Duration, Field(description="Files whose last row is older are deleted.")] = "30d"


# 1Ki to 9999Ki, or 1Mi to 1024Mi.
BodySize = Annotated[str, Field(pattern="^([1-9][0-9]{0,3}Ki|([1-9][0-9]{0,2}|10[01][0-9]|102[0-4])Mi)$", max_length=6)]


class Server(ApiModel):
    """Limits of each pod. What is not set has the default of the runtime that serves."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            duration_between("server", "requestTimeout", "100ms", "10m"),
            duration_between("server", "loadTimeout", "1s", "6h"),
        )
    )

    max_batch_rows: Annotated[
        int | None,
        Field(
            ge=1, le=10_000, description="Requests that wait are predicted together up to so many rows; default 256."
        ),
    ] = None
    max_queue: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="Requests that may wait; the next one is answered 503. Default 1000."),
    ] = None
    max_rows: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="Rows in one request; more is 413. Default 10000.")
    ] = None
    max_body_size: Annotated[
        BodySize | None,
        Field(description="Of one request, such as 512Ki or 64Mi, at most 1024Mi; more is 413. Default 16Mi."),
    ] = None
    request_timeout: Annotated[
        ShortDuration | None,
        Field(
            description="From a complete request to its answer, 100ms to 10m; then it is 503. Default 5s. A pod that goes"
            " away is given that much longer."
        ),
    ] = None
    load_timeout: Annotated[
        ShortDuration | None,
        Field(description="To fetch, load and prove the model, 1s to 6h; then the pod fails. Default 10m."),
    ] = None
    warmup: Annotated[
        bool | None,
        Field(
            description="Answer requests with the version's own sample before the first one is let in. Default true."
        ),
    ] = None


def _requested(metric: str, resource: str) -> dict[str, str]:
    """A share of nothing is no measure. Kubernetes takes a limit for the request that is not there."""
    given = " || ".join(
        f"(has(self.resources.{part}) && '{resource}' in self.resources.{part})" for part in ("requests", "limits")
    )
    return {
        "rule": f"!has(self.autoscaling) || self.autoscaling.metric != '{metric}' || !has(self.resources) || {given}",
        "message": f"autoscaling by {metric} is in percent of resources.requests.{resource}: set it",
    }


class InferenceServiceSpec(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "!has(self.payloadLog) || !has(self.runtime)",
                "message": "payloadLog needs Mainspring's own server: remove it, or runtime",
            },
            {
                "rule": "!has(self.server) || !has(self.runtime)",
                "message": "server needs Mainspring's own server: remove it, or runtime",
            },
            {
                "rule": "!has(self.autoscaling) || !has(self.replicas)",
                "message": "set replicas or autoscaling, not both",
            },
            {
                "rule": "!has(self.autoscaling) || !has(self.runtime) || self.autoscaling.metric in ['CPU', 'Memory']",
                "message": "autoscaling by Concurrency or RequestsPerSecond needs Mainspring's own server: choose CPU or Memory, or remove runtime",
            },
            _requested("CPU", "cpu"),
            _requested("Memory", "memory"),
        )
    )

    model: Annotated[ModelRef, Field(description="What to serve.")]
    # No default: with one, an autoscaler on the Deployment and the schema would fight over the number.
    replicas: Annotated[int | None, Field(ge=0, le=1000, description="Pods of the serving revision; 1 when unset.")] = (
        None
    )
    autoscaling: Annotated[
        Autoscaling | None, Field(description="As many pods as the load needs, instead of `replicas`.")
    ] = None
    rollout: Annotated[
        RolloutPolicy | None,
        Field(description="How changes of version, image or settings go out; without it Immediate."),
    ] = None
    runtime: Annotated[Runtime | None, Field(description="Serve with another image.")] = None
    expose: Annotated[Expose | None, Field(description="Who may reach it, and how from outside.")] = None
    resources: Resources | None = None
    payload_log: Annotated[
        PayloadLog | None, Field(description="Log a sample of requests with their answers; without it none.")
    ] = None
    server: Annotated[Server | None, Field(description="Limits of the server in each pod.")] = None
    stop: Annotated[bool, Field(description="Scale to nothing, keep everything else.")] = False
    pod_template: PodTemplate | None = None


class LastFailure(ApiModel):
    version: Annotated[VersionName | None, Field(description="The version that failed.")] = None
    revision: Annotated[ShortText | None, Field(description="Its revision.")] = None
    reason: Annotated[str, Field(max_length=64, description="Why, in one word.")]
    message: Annotated[str, Field(max_length=2048, description="Why, and what to do.")]
    exit_code: Annotated[int | None, Field(description="Of the server.")] = None
    time: Annotated[Time, Field(description="When.")]


class Rollout(ApiModel):
    version: Annotated[VersionName, Field(description="The version.")]
    revision: Annotated[ShortText, Field(description="The revision of version and settings.")]
    outcome: Annotated[Outcome, Field(description="How it ended. Promoted: it serves.")]
    reason: Annotated[ShortText, Field(description="Why.")] = ""
    started_at: Annotated[Time | None, Field(description="When it began.")] = None
    time: Annotated[Time, Field(description="When it ended.")]


class HeldBack(ApiModel):
    """A revision that a rollout did not take; it is not tried again unless a person says so."""

    version: Annotated[VersionName, Field(description="The version.")]
    revision: Annotated[ShortText, Field(description="Its revision.")]
    outcome: Outcome
    cause: Cause
    reason: Annotated[ShortText, Field(description="Why, in one word.")]
    message: Annotated[str, Field(max_length=2048, description="Why, with numbers.")]
    metrics: Annotated[
        list[MetricVerdict] | None, Field(max_length=METRICS_MAX, description="What it was judged by.")
    ] = None
    time: Annotated[Time, Field(description="When.")]


class InferenceServiceStatus(StatusBase):
    url: Annotated[
        str | None,
        Field(max_length=512, description="Where it answers: the first of expose.hostnames, else inside the cluster."),
    ] = None
    stable_version: Annotated[VersionName | None, Field(description="The version that answers.")] = None
    stable_revision: Annotated[ShortText | None, Field(description="Its revision.")] = None
    candidate_version: Annotated[VersionName | None, Field(description="The version that is rolled out.")] = None
    candidate_revision: Annotated[ShortText | None, Field(description="Its revision.")] = None
    replicas: Annotated[int | None, Field(description="Pods of the serving revision.")] = None
    ready_replicas: Annotated[int | None, Field(description="Pods that answer.")] = None
    selector: Annotated[str | None, Field(max_length=512, description="Of the serving pods, for autoscalers.")] = None
    scaling: Annotated[ScalingStatus | None, Field(description="What the autoscaler wants.")] = None
    last_failure: Annotated[LastFailure | None, Field(description="What kept a revision from serving.")] = None
    rollout: Annotated[RolloutStatus | None, Field(description="The rollout that is going on.")] = None
    held_back: Annotated[HeldBack | None, Field(description="What was rolled back, while it is still wanted.")] = None
    rollouts: Annotated[list[Rollout] | None, Field(max_length=10, description="The last ten.")] = None
    rollouts_ended: Annotated[
        dict[str, int] | None, Field(max_length=8, description="How many ended, ever, by outcome.")
    ] = None


INFERENCE_SERVICE = Kind(
    kind="InferenceService",
    plural="inferenceservices",
    short="inf",
    spec=InferenceServiceSpec,
    status=InferenceServiceStatus,
    columns=(
        Column("Version", ".status.stableVersion"),
        Column("Replicas", ".status.readyReplicas", "integer"),
        Column("Candidate", ".status.candidateVersion"),
        Column("Weight", ".status.rollout.weight", "integer"),
        Column("Verdict", ".status.rollout.verdict"),
        Column("Available", '.status.conditions[?(@.type=="Available")].status'),
        Column("URL", ".status.url", wide=True),
        Column("Phase", ".status.rollout.phase", wide=True),
    ),
    scale=True,
    description="A model served over HTTP by the Open Inference Protocol v2.",
)
