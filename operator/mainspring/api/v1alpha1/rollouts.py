"""How a changed revision of an InferenceService takes the place of the one that serves, and what is told of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import (
    ApiModel,
    Name,
    ShortDuration,
    ShortText,
    Time,
    VersionName,
    WebUrl,
    duration_between,
    exactly_one,
    unique_by,
    validations,
)

STEPS_MAX = 10
QUERIES_MAX = 10
METRICS_MAX = 16
HEADERS_MAX = 8
CARRIED_MAX = 64
LABELLED_MAX = 1000
DEFAULT_STEPS = (5, 25, 50)
DISAGREEMENT = 0.001  # when the model is the same and `maxDisagreement` is not set


class Strategy(StrEnum):
    CANARY = "Canary"
    SHADOW = "Shadow"
    BLUE_GREEN = "BlueGreen"
    IMMEDIATE = "Immediate"


class OnInconclusive(StrEnum):
    HOLD = "Hold"
    PROMOTE = "Promote"
    ROLLBACK = "Rollback"


class Outcome(StrEnum):
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    FAILED = "Failed"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"


class Judgement(StrEnum):
    """Of one metric, and of all together."""

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"


HeaderName = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9][-A-Za-z0-9_]*$")]


class Match(ApiModel):
    headers: Annotated[
        dict[str, ShortText],
        Field(
            min_length=1,
            max_length=HEADERS_MAX,
            description="A request with all of these goes to the candidate, whatever the weight.",
        ),
    ]


class StickyBy(ApiModel):
    """Requests with the same value go to the same revision; as the weight rises each value moves once."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("header", "cookie")))

    header: Annotated[HeaderName | None, Field(description="Name of a header that tells users apart.")] = None
    cookie: Annotated[HeaderName | None, Field(description="Name of a cookie that does.")] = None


class Query(ApiModel):
    """A number that Prometheus knows. No data is Inconclusive; out of bounds twice in a row is Failed."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {"rule": "has(self.maximum) || has(self.minimum)", "message": "set maximum or minimum of the query"}
        )
    )

    name: Annotated[Name, Field(description="What it is called in status.")]
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            description="PromQL that gives one number. $namespace, $service, $stable and $candidate (revisions) are filled in.",
        ),
    ]
    maximum: Annotated[float | None, Field(description="Above it is bad.")] = None
    minimum: Annotated[float | None, Field(description="Below it is bad.")] = None


class Analysis(ApiModel):
    """What the candidate is judged by, against the stable revision on the same traffic at the same time.

    Each `max...` is the increase to detect, which sets how many requests are needed; status shows that number.
    """

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "!has(self.queries) || has(self.prometheus)",
                "message": "analysis.queries needs analysis.prometheus, the address to ask",
            }
        )
    )

    max_error_rate_increase: Annotated[
        float, Field(ge=0.001, le=0.5, description="Share of requests that fail (5xx, time-outs, refused).")
    ] = 0.02
    max_slow_share_increase: Annotated[
        float,
        Field(
            ge=0.005,
            le=0.9,
            description="Share of requests slower than the stable revision's 95th percentile of the same time, by a tenth and a millisecond at least.",
        ),
    ] = 0.05
    max_quality_drop: Annotated[
        float | None,
        Field(ge=0.005, le=0.5, description="Share of right predictions, as labels come in. Needs feedback."),
    ] = None
    max_disagreement: Annotated[
        float | None,
        Field(
            ge=0.0001,
            le=1.0,
            description="Share of rows that are answered differently. Default 0.001 when the model is the same (image, settings), else only told, not judged.",
        ),
    ] = None
    tolerance: Annotated[
        float,
        Field(
            ge=0.0,
            le=10.0,
            description="Numbers agree when they differ by at most this many standard deviations of the stable answers.",
        ),
    ] = 0.001
    prometheus: Annotated[WebUrl | None, Field(description="Address of the Prometheus that `queries` ask.")] = None
    queries: Annotated[
        list[Query] | None,
        Field(max_length=QUERIES_MAX, json_schema_extra=unique_by("name"), description="Further numbers."),
    ] = None


class RolloutPolicy(ApiModel):
    """How a new version, image or setting takes the place of what serves. Without it: Immediate."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "self.steps.isSorted() && self.steps.all(x, self.steps.exists_one(y, y == x))",
                "message": "rollout.steps must rise, such as [5, 25, 50]; 100 comes by itself",
            },
            duration_between("rollout", "stepDuration", "1s", "24h"),
            duration_between("rollout", "maxDuration", "10s", "168h"),
            duration_between("rollout", "maxHold", "10s", "720h"),
        )
    )

    strategy: Annotated[
        Strategy,
        Field(
            description="Canary: a growing share of requests. Shadow: a copy of all requests, then all of them. BlueGreen: all at once when its pods are ready, after the checks with a copy of requests if analysis allows. Immediate: all at once."
        ),
    ] = Strategy.CANARY
    steps: Annotated[
        list[Annotated[int, Field(ge=0, le=99)]],
        Field(
            min_length=1,
            max_length=STEPS_MAX,
            description="Percent of requests for the candidate, one step after another; all requests come after the last. 0: only those that match.",
        ),
    ] = list(DEFAULT_STEPS)
    step_duration: Annotated[ShortDuration, Field(description="A step lasts at least so long.")] = "60s"
    match: Annotated[Match | None, Field(description="Who gets the candidate in any case (A/B).")] = None
    sticky_by: Annotated[StickyBy | None, Field(description="What keeps a user on one revision.")] = None
    analysis: Annotated[Analysis, Field(description="What it is judged by.")] = Analysis()
    on_inconclusive: Annotated[
        OnInconclusive, Field(description="When `maxDuration` is over and there is not enough to judge by.")
    ] = OnInconclusive.HOLD
    max_duration: Annotated[
        ShortDuration,
        Field(
            description="So long the evidence may take. When the traffic is too little for it, requests are copied first."
        ),
    ] = "1h"
    max_hold: Annotated[ShortDuration, Field(description="Hold ends so much later, by a rollback.")] = "24h"
    manual: Annotated[
        bool, Field(description="Wait for `kubectl mainspring promote` before all requests go to the candidate.")
    ] = False


class MetricVerdict(ApiModel):
    """What one metric says of the candidate, over the whole rollout so far."""

    name: Annotated[
        str, Field(max_length=64, description="ErrorRate, SlowShare, QualityDrop, Disagreement, or a query's name.")
    ]
    verdict: Annotated[Judgement, Field(description="Passed: enough was seen, and it is no worse.")]
    stable: Annotated[float | None, Field(description="Share, of the stable revision.")] = None
    candidate: Annotated[
        float | None, Field(description="Share, of the candidate; or the number that a query gave.")
    ] = None
    limit: Annotated[float | None, Field(description="The increase to detect, or the bound of a query.")] = None
    requests: Annotated[
        int | None, Field(description="Of the candidate that were judged: requests, rows or labels.")
    ] = None
    needed: Annotated[int | None, Field(description="As many have to be judged.")] = None
    looks: Annotated[int | None, Field(description="How often it was judged; each look costs some certainty.")] = None
    strikes: Annotated[int | None, Field(description="Of a query: how often in a row it was out of bounds.")] = None
    message: Annotated[ShortText, Field(description="Why, when it is not Passed.")] = ""


class Phase(StrEnum):
    STARTING = "Starting"  # its pods come up
    MIRRORING = "Mirroring"  # it gets copies of requests, and no answer of it is returned
    STEPPING = "Stepping"  # it answers `weight` percent of the requests
    AWAITING_PROMOTION = "AwaitingPromotion"  # everything passed, or its time is over; a person promotes
    HOLDING = "Holding"  # not enough to judge by; a person decides
    PROMOTING = "Promoting"  # its pods come to full size, then it is the stable revision


class SplitBy(StrEnum):
    """Who gives the candidate its share of requests."""

    SERVERS = "Servers"  # the stable pods: exact, and they answer what it fails to
    GATEWAY = "Gateway"  # the HTTPRoute: for servers that are not ours
    PODS = "Pods"  # one Service over the pods of both: as near as whole pods come to the weight


class Cause(StrEnum):
    SPEC = "Spec"
    CHAMPION = "Champion"
    CANDIDATE = "Candidate"  # of a Model with promotion.provenBy


class RolloutStatus(ApiModel):
    """A rollout that is going on."""

    version: Annotated[VersionName, Field(description="The version that is rolled out.")]
    revision: Annotated[ShortText, Field(description="Its revision: of version and settings.")]
    from_version: Annotated[VersionName, Field(description="The version that answers the rest.")]
    from_revision: Annotated[ShortText, Field(description="Its revision.")]
    strategy: Strategy
    cause: Cause
    split_by: Annotated[SplitBy, Field(description="Who gives it its share of requests.")] = SplitBy.SERVERS
    same_model: Annotated[bool, Field(description="Only the image or settings change.")] = False
    phase: Phase
    step: Annotated[int, Field(description="Index into spec.rollout.steps.")] = 0
    forced: Annotated[bool, Field(description="A person promoted it: it is judged no more.")] = False
    stage: Annotated[int, Field(description="Counts each change of what share is asked for.")] = 0
    weight: Annotated[int, Field(description="Percent of requests that the candidate answers.")] = 0
    mirror: Annotated[int, Field(description="Percent of the other requests that it gets a copy of.")] = 0
    verdict: Judgement = Judgement.INCONCLUSIVE
    metrics: Annotated[list[MetricVerdict] | None, Field(max_length=METRICS_MAX)] = None
    message: Annotated[ShortText, Field(description="What it waits for.")] = ""
    started_at: Annotated[Time, Field(description="When its pods were asked for.")]
    judged_since: Annotated[Time | None, Field(description="When it got its first requests.")] = None
    step_started_at: Annotated[Time | None, Field(description="When all stable pods applied this step.")] = None
    held_since: Annotated[Time | None, Field(description="When `Holding` began.")] = None
    judged_at: Annotated[Time | None, Field(description="When that came to something new.")] = None
    labels_from: Annotated[
        str | None,
        Field(
            max_length=65536,
            description="Right and all labels of the stable version that each process had when it was seen first; JSON, for the operator.",
        ),
    ] = None
    counted: Annotated[
        str | None, Field(max_length=65536, description="What pods that are gone had counted; JSON, for the operator.")
    ] = None
    counted_of: Annotated[
        list[ShortText] | None, Field(max_length=CARRIED_MAX, description="Processes whose counts are in `counted`.")
    ] = None
