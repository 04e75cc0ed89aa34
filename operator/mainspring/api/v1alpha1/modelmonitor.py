"""ModelMonitor: watches a served model, says what changed, and has it retrained when there is something to learn."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.alerts import ALERT_ENTRIES_MAX, ALERTS_MAX, Alert, AlertEntry
from mainspring.api.v1alpha1.common import (
    ApiModel,
    Column,
    ColumnName,
    Duration,
    Kind,
    Name,
    Resources,
    ShortText,
    StatusBase,
    Time,
    VersionName,
    WebUrl,
    unique_by,
    validations,
)
from mainspring.api.v1alpha1.retraining import EndedNeed, Need, Retrain, RetrainEntry
from mainspring.api.v1alpha1.trainingrun import Metric

FEATURES_MAX = 10
RETRAINS_MAX = 20
SLICED_COLUMNS_MAX = 5
SLICES_MAX = 105  # 20 values of each column, and those that are missing


class Window(ApiModel):
    """A window closes when both `length` and `minimumRows` are reached, at the latest after `maximumLength`."""

    length: Annotated[Duration, Field(description="At least this long.")] = "15m"
    minimum_rows: Annotated[int, Field(ge=50, le=10_000_000, description="At least so many predicted rows.")] = 500
    maximum_length: Annotated[
        Duration, Field(description="Closes then in any case; with too few rows it is not judged.")
    ] = "24h"


class Sensitivity(StrEnum):
    LOW = "Low"
    NORMAL = "Normal"
    HIGH = "High"


class Baseline(StrEnum):
    TRAINING = "Training"
    SAME_PHASE = "SamePhase"


class Drift(ApiModel):
    """When a feature or the prediction counts as drifted; see the guide for the rule."""

    sensitivity: Annotated[
        Sensitivity,
        Field(description="The population stability index that must be exceeded: Low 0.2, Normal 0.1, High 0.05."),
    ] = Sensitivity.NORMAL
    baseline: Annotated[
        Baseline,
        Field(
            description="What a window is compared with. Training: the reference rows of the version; after a promotion, once, the first season whose measured quality passed. SamePhase: the same part of the first such season, as the same hours of a day."
        ),
    ] = Baseline.TRAINING
    exclude: Annotated[list[ColumnName] | None, Field(max_length=200, description="Features not to look at.")] = None


class Quality(ApiModel):
    """How much worse requests may be than the reference rows, as shares of all rows."""

    max_missing_increase: Annotated[float, Field(ge=0.0, le=1.0, description="More missing values.")] = 0.05
    max_unseen_categories: Annotated[
        float, Field(ge=0.0, le=1.0, description="More values that training never saw.")
    ] = 0.01
    max_out_of_range: Annotated[
        float, Field(ge=0.0, le=1.0, description="More numbers beyond the training's smallest and largest.")
    ] = 0.02


class Labels(ApiModel):
    """Where labels come from when nobody sends them: a Dataset, joined by its key to the payload log of the service."""

    dataset: Annotated[Name, Field(description="A Dataset whose target says what was true.")]
    key: Annotated[
        ColumnName | None,
        Field(description="Its column with what callers send along as the key; default: spec.key of the Dataset."),
    ] = None
    delay: Annotated[
        Duration,
        Field(description="How long labels take. Younger predictions are left out; later labels count when they come."),
    ]
    every: Annotated[Duration | None, Field(description="How often to join; default: spec.window.length.")] = None
    resources: Annotated[Resources | None, Field(description="Of the Jobs that join.")] = None


class Performance(ApiModel):
    """What labels must say of the predictions. The interval is compared with the bound, not the point."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "has(self.minimum) != has(self.maximum)",
                "message": "set minimum (metrics where more is better) or maximum (errors and losses)",
            },
            {"rule": "!has(self.slices) || has(self.labels)", "message": "slices need labels from a Dataset"},
        )
    )

    metric: Annotated[Metric, Field(description="Measured from labels.")]
    minimum: Annotated[float | None, Field(description="Degraded when the whole interval lies below.")] = None
    maximum: Annotated[float | None, Field(description="Degraded when the whole interval lies above.")] = None
    labels: Annotated[
        Labels | None, Field(description="A Dataset that has them; without it they come as feedback.")
    ] = None
    slices: Annotated[
        list[ColumnName] | None,
        Field(
            max_length=SLICED_COLUMNS_MAX,
            description="Inputs by whose values it is measured, too, for information. At most 20 values each; needs labels.",
        ),
    ] = None
    minimum_labels: Annotated[
        int, Field(ge=30, le=10_000_000, description="Labelled rows before anything is said.")
    ] = 500
    estimate: Annotated[
        bool, Field(description="Also estimate it without labels, from calibrated probabilities. For information only.")
    ] = False


class Source(StrEnum):
    DIRECT = "Direct"
    PROMETHEUS = "Prometheus"


class Prometheus(ApiModel):
    """A Prometheus that scrapes the pods of the service."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "!has(self.labels) || self.labels.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]*$'))",
                "message": "the names in labels are names of labels in Prometheus: letters, digits and _, and no digit first",
            },
        )
    )

    url: Annotated[WebUrl, Field(description="Where its paths begin, such as http://prometheus.monitoring.svc:9090.")]
    labels: Annotated[
        dict[str, ShortText] | None,
        Field(max_length=16, description="That its series must have beside namespace and pod, such as a cluster."),
    ] = None


class ModelMonitorSpec(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "!has(self.source) || self.source != 'Prometheus' || has(self.prometheus)",
                "message": "spec.source Prometheus needs spec.prometheus.url: set it to its address, such as http://prometheus.monitoring.svc:9090",
            },
        )
    )

    service: Annotated[Name, Field(description="An InferenceService whose pods run Mainspring's server.")]
    interval: Annotated[Duration, Field(description="How often its pods are read.")] = "30s"
    source: Annotated[
        Source, Field(description="Where their counts are read: at the pods, or in a Prometheus that scrapes them.")
    ] = Source.DIRECT
    prometheus: Annotated[Prometheus | None, Field(description="With source Prometheus: which one.")] = None
    window: Annotated[Window, Field(description="What is judged at a time.")] = Window()
    season: Annotated[
        Duration,
        Field(description="A retrain is decided on windows that cover this time: a daily swing is not a change."),
    ] = "24h"
    drift: Annotated[Drift, Field(description="Change of inputs and predictions.")] = Drift()
    quality: Annotated[Quality, Field(description="Defects of inputs.")] = Quality()
    performance: Annotated[Performance | None, Field(description="Measured quality of predictions.")] = None
    retrain: Annotated[Retrain | None, Field(description="What to do when it is needed.")] = None
    alerts: Annotated[
        list[Alert] | None,
        Field(max_length=ALERTS_MAX, json_schema_extra=unique_by("name"), description="Who is told of what."),
    ] = None
    suspend: Annotated[bool, Field(description="Read nothing and start nothing.")] = False


class FeatureStatus(ApiModel):
    name: Annotated[ColumnName, Field(description="A feature, or `prediction`.")]
    psi: Annotated[float, Field(description="Population stability index against the reference.")]
    threshold: Annotated[float, Field(description="What it must exceed.")]
    p_value: Annotated[float, Field(description="Of the chi-squared test, adjusted for all features.")]
    distance: Annotated[float, Field(description="Jensen-Shannon distance, for information.")]
    drifted: Annotated[bool, Field(description="In this window and the one before.")] = False
    since: Annotated[Time | None, Field(description="Of the first of these windows.")] = None
    message: Annotated[ShortText, Field(description="What moved.")] = ""


class WindowStatus(ApiModel):
    number: Annotated[int, Field(description="Since the monitor was made.")]
    start: Annotated[Time, Field(description="Of the first reading.")]
    end: Annotated[Time, Field(description="Of the last reading.")]
    rows: Annotated[int, Field(description="Predicted rows.")]
    labels: Annotated[int, Field(description="Labelled rows that arrived.")] = 0
    version: Annotated[VersionName, Field(description="The version that predicted them.")]


class SliceStatus(ApiModel):
    column: Annotated[ColumnName, Field(description="An input.")]
    category: Annotated[ShortText, Field(description="Its value; `(missing)` where there is none.")]
    rows: Annotated[int, Field(description="Logged predictions.")]
    labels: Annotated[int, Field(description="Those of them that have a label.")]
    value: Annotated[float | None, Field(description="Measured over the season.")] = None
    lower: Annotated[float | None, Field(description="Lower end of the 95 % interval.")] = None
    upper: Annotated[float | None, Field(description="Upper end of the 95 % interval.")] = None
    degraded: Annotated[bool, Field(description="Enough labels, and the whole interval is beyond the bound.")] = False


class PerformanceStatus(ApiModel):
    metric: Annotated[Metric, Field(description="As in the spec.")]
    value: Annotated[float | None, Field(description="Measured over the season.")] = None
    lower: Annotated[float | None, Field(description="Lower end of the 95 % interval.")] = None
    upper: Annotated[float | None, Field(description="Upper end of the 95 % interval.")] = None
    labels: Annotated[int, Field(description="Labelled rows behind it.")] = 0
    until: Annotated[
        Time | None, Field(description="With labels from a Dataset: of predictions in the season up to then.")
    ] = None
    coverage: Annotated[float | None, Field(description="Share of predicted rows that have a label.")] = None
    biased: Annotated[bool, Field(description="Labels come much more often for some predictions than for others.")] = (
        False
    )
    slices: Annotated[list[SliceStatus] | None, Field(max_length=SLICES_MAX, description="The same by input.")] = None
    estimated: Annotated[float | None, Field(description="Without labels, from calibrated probabilities.")] = None
    estimated_lower: Annotated[float | None, Field(description="Lower end of its interval.")] = None
    estimated_upper: Annotated[float | None, Field(description="Upper end of its interval.")] = None


class BaselineStatus(ApiModel):
    """The season that windows are compared with, in place of the version's reference rows."""

    start: Annotated[Time, Field(description="Of the season.")]
    end: Annotated[Time, Field(description="Of the season.")]
    rows: Annotated[int, Field(description="Predicted rows.")]


class ModelMonitorStatus(StatusBase):
    version: Annotated[VersionName | None, Field(description="The version that is watched.")] = None
    pods: Annotated[int | None, Field(description="Pods that were read last time.")] = None
    last_window: Annotated[WindowStatus | None, Field(description="The last window that closed.")] = None
    drifted: Annotated[int | None, Field(description="Features that drift.")] = None
    features: Annotated[
        list[FeatureStatus] | None,
        Field(max_length=FEATURES_MAX, json_schema_extra=unique_by("name"), description="The ten that moved most."),
    ] = None
    baseline: Annotated[
        BaselineStatus | None, Field(description="Absent while windows are compared with the reference rows.")
    ] = None
    performance: Annotated[PerformanceStatus | None, Field(description="Measured, and estimated.")] = None
    lost_rows_at_most: Annotated[
        int | None, Field(description="Rows that pods may have counted after they were read last, at the usual rate.")
    ] = None
    last_schedule_time: Annotated[
        Time | None, Field(description="The tick of the schedule that was answered last.")
    ] = None
    alerts: Annotated[
        list[AlertEntry] | None,
        Field(max_length=ALERT_ENTRIES_MAX, description="What was told, and what is still to be told."),
    ] = None
    need: Annotated[Need | None, Field(description="Open while the model should be trained anew.")] = None
    last_need: Annotated[EndedNeed | None, Field(description="The need before, which is over.")] = None
    retrained: Annotated[
        dict[str, int] | None,
        Field(max_length=3, description="Runs that were started since the monitor was made, by reason."),
    ] = None
    retrains: Annotated[list[RetrainEntry] | None, Field(max_length=RETRAINS_MAX, description="The last twenty.")] = (
        None
    )


MODEL_MONITOR = Kind(
    kind="ModelMonitor",
    plural="modelmonitors",
    short="mon",
    spec=ModelMonitorSpec,
    status=ModelMonitorStatus,
    columns=(
        Column("Version", ".status.version"),
        Column("Drift", '.status.conditions[?(@.type=="DriftDetected")].status'),
        Column("Degraded", '.status.conditions[?(@.type=="PerformanceDegraded")].status'),
        Column("Retrain", '.status.conditions[?(@.type=="RetrainTriggered")].reason'),
        Column("Rows", ".status.lastWindow.rows", "integer", wide=True),
        Column("Quality", ".status.performance.value", "number", wide=True),
        Column("Pods", ".status.pods", "integer", wide=True),
    ),
    description="Watches a served model for change, and has it retrained when there is something to learn.",
)
