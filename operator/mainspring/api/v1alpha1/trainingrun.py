"""TrainingRun: one training, to completion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from mainspring.api.v1alpha1.common import (
    ApiModel,
    Column,
    ColumnName,
    Digest,
    Duration,
    Image,
    Kind,
    Name,
    ObjectName,
    Opaque,
    PodTemplate,
    Resources,
    ShortText,
    StatusBase,
    StringMap,
    Text,
    Time,
    VersionName,
    exactly_one,
    validations,
)
from mainspring.api.v1alpha1.dataset import Task

MAX_TENSORS = 200


class Metric(StrEnum):
    """A metric of the closed table; which way is better is fixed for each."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    F1 = "f1"
    PRECISION = "precision"
    RECALL = "recall"
    ROC_AUC = "roc_auc"
    AVERAGE_PRECISION = "average_precision"
    LOG_LOSS = "log_loss"
    BRIER_SCORE = "brier_score"
    EXPECTED_CALIBRATION_ERROR = "expected_calibration_error"
    R2 = "r2"
    MEAN_ABSOLUTE_ERROR = "mean_absolute_error"
    ROOT_MEAN_SQUARED_ERROR = "root_mean_squared_error"
    MEDIAN_ABSOLUTE_ERROR = "median_absolute_error"


LESS_IS_BETTER = frozenset(
    {
        Metric.LOG_LOSS,
        Metric.BRIER_SCORE,
        Metric.EXPECTED_CALIBRATION_ERROR,
        Metric.MEAN_ABSOLUTE_ERROR,
        Metric.ROOT_MEAN_SQUARED_ERROR,
        Metric.MEDIAN_ABSOLUTE_ERROR,
    }
)
REGRESSION_METRICS = frozenset(
    {Metric.R2, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR, Metric.MEDIAN_ABSOLUTE_ERROR}
)


class DatasetRef(ApiModel):
    name: Annotated[Name, Field(description="A Dataset.")]
    version: Annotated[
        VersionName | None, Field(description="A DatasetVersion to pin; default: the current one when the run starts.")
    ] = None


class Preprocessing(StrEnum):
    AUTO = "Auto"
    NONE = "None"


class Threshold(StrEnum):
    DEFAULT = "0.5"
    TUNED = "Tuned"


# In YAML 0.5 is a number: people write it without quotes, and the API server is asked to take both.
ThresholdValue = Annotated[
    Threshold,
    BeforeValidator(str),
    WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True, "enum": [0.5, "0.5", "Tuned"]}),
]


class Estimator(ApiModel):
    class_: Annotated[
        str,
        Field(
            alias="class",
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$",
            max_length=256,
            description="Dotted path of a scikit-learn compatible estimator, e.g. sklearn.ensemble.RandomForestClassifier.",
        ),
    ]
    params: Annotated[Opaque | None, Field(description="Keyword arguments of the estimator.")] = None
    preprocessing: Annotated[
        Preprocessing, Field(description="Auto: impute, scale (never for trees) and encode by column type.")
    ] = Preprocessing.AUTO
    calibrate: Annotated[
        bool, Field(description="Calibrate probabilities by 5-fold cross-validation within the training rows.")
    ] = False
    threshold: Annotated[
        ThresholdValue,
        Field(
            description="Decision threshold of a two-class model: 0.5, or Tuned for f1 on validation rows (cross-validated when there are none)."
        ),
    ] = Threshold.DEFAULT


class Container(ApiModel):
    """Any framework. Reads $MAINSPRING_INPUT, writes $MAINSPRING_OUTPUT; see the guide for the contract."""

    image: Annotated[Image, Field(description="The image that trains.")]
    command: Annotated[list[Text] | None, Field(max_length=64, description="Instead of the image's entry point.")] = (
        None
    )
    args: Annotated[list[Text] | None, Field(max_length=256, description="Arguments of the command.")] = None


class Checkpoint(ApiModel):
    claim: Annotated[
        ObjectName, Field(description="A PersistentVolumeClaim; survives retries as $MAINSPRING_CHECKPOINT.")
    ]


class Evaluation(ApiModel):
    metrics: Annotated[
        list[Metric] | None, Field(max_length=16, description="Default: the usual ones of the task.")
    ] = None
    primary: Annotated[
        Metric | None, Field(description="Shown by `kubectl get`; default roc_auc (two classes), accuracy or r2.")
    ] = None


class TrainingRunSpec(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("estimator", "container"),
            {
                "rule": "!has(self.checkpoint) || has(self.container)",
                "message": "spec.checkpoint is only for spec.container: an estimator has nothing to resume from",
            },
            {
                "rule": "!has(self.image) || has(self.estimator)",
                "message": "spec.image (a runtime with your own packages) is only for spec.estimator; a container names its own image",
            },
        )
    )

    dataset: Annotated[DatasetRef, Field(description="What to learn from.")]
    model: Annotated[Name, Field(description="The Model under which the version is registered.")]
    estimator: Annotated[Estimator | None, Field(description="A scikit-learn compatible estimator.")] = None
    container: Container | None = None
    checkpoint: Annotated[Checkpoint | None, Field(description="Where a container keeps what it needs to resume.")] = (
        None
    )
    evaluation: Annotated[Evaluation, Field(description="What to measure on the held-out rows.")] = Evaluation()
    must_improve: Annotated[
        bool,
        Field(
            description="The version becomes champion only if it is proved better than the present one, by the primary metric and on the newest rows if the Dataset has a timestamp: an additional gate for this version."
        ),
    ] = False
    seed: Annotated[
        int,
        Field(ge=0, le=2147483647, description="Same inputs and seed give the same model on the same image and CPU."),
    ] = 0
    retries: Annotated[
        int, Field(ge=0, le=20, description="More attempts after a failure. Eviction and preemption are not charged.")
    ] = 2
    deadline: Annotated[Duration | None, Field(description="For the whole run, from its first start.")] = None
    suspend: Annotated[bool, Field(description="Stop the running attempt, or do not start one.")] = False
    ttl_after_finished: Annotated[
        Duration | None, Field(description="Remove the run's Jobs and pods after this time. Unset: keep them.")
    ] = None
    image: Annotated[
        Image | None, Field(description="A runtime image with your own packages; the service uses it too.")
    ] = None
    resources: Resources | None = None
    pod_template: PodTemplate | None = None


class TensorSpec(ApiModel):
    """One input column or output, in the terms of the Open Inference Protocol."""

    name: Annotated[ColumnName, Field(description="As in requests.")]
    datatype: Annotated[
        str,
        Field(
            pattern="^(BOOL|U?INT(8|16|32|64)|FP(16|32|64)|BYTES)$",
            max_length=8,
            description="Of the Open Inference Protocol.",
        ),
    ]
    shape: Annotated[list[int], Field(max_length=4, description="-1 stands for the number of rows.")] = [-1, 1]
    nullable: Annotated[bool, Field(description="Whether values may be missing.")] = False


class MetricValue(ApiModel):
    """A metric on the held-out rows with its 95 % interval (bootstrap over rows)."""

    name: Annotated[Metric, Field(description="The metric.")]
    value: Annotated[float, Field(description="Over the held-out rows.")]
    lower: Annotated[float | None, Field(description="Lower end of the interval.")] = None
    upper: Annotated[float | None, Field(description="Upper end of the interval.")] = None
    rows: Annotated[int | None, Field(description="Held-out rows.")] = None


class Attempt(ApiModel):
    number: Annotated[int, Field(description="From 1.")]
    job: Annotated[ObjectName, Field(description="The Job of this attempt.")]
    outcome: Annotated[
        str,
        Field(
            pattern="^(Running|Succeeded|Failed|Evicted|Suspended|DeadlineExceeded)$",
            max_length=32,
            description="How it ended.",
        ),
    ]
    charged: Annotated[bool, Field(description="Whether it counts against `retries`.")] = True
    reason: Annotated[ShortText, Field(description="Why, in one word.")] = ""
    message: Annotated[str, Field(max_length=1024, description="Why, and what to do.")] = ""
    exit_code: Annotated[int | None, Field(description="Of the container that failed.")] = None
    start_time: Time | None = None
    completion_time: Time | None = None


class Progress(ApiModel):
    percent: Annotated[int | None, Field(description="Of the running attempt.")] = None
    stage: Annotated[ShortText | None, Field(description="What it is doing.")] = None
    eta: Annotated[Time | None, Field(description="When it will be done, if it goes on like this.")] = None


class Lineage(ApiModel):
    dataset_version: Annotated[VersionName | None, Field(description="The version that was read.")] = None
    dataset_digest: Annotated[Digest | None, Field(description="Its digest.")] = None
    image: Annotated[Image | None, Field(description="The image as given.")] = None
    image_id: Annotated[str | None, Field(max_length=512, description="The image as it ran, by digest.")] = None
    parameters: Annotated[Opaque | None, Field(description="As given to the estimator.")] = None
    seed: Annotated[int | None, Field(description="As used.")] = None
    threads: Annotated[int | None, Field(description="As used.")] = None
    libraries: Annotated[StringMap | None, Field(description="Versions of what trained it.")] = None


class ResultArtifact(ApiModel):
    uri: Annotated[str, Field(max_length=1024, description="Where the files are.")]
    digest: Annotated[Digest, Field(description="Over the manifest.")]
    model_digest: Annotated[
        Digest | None, Field(description="Over the canonical model files: equal when the training was reproduced.")
    ] = None
    size: Annotated[int, Field(description="Bytes.")]
    format: Annotated[ShortText, Field(description="skops, onnx, joblib, or custom.")]


class Signature(ApiModel):
    """What the model takes and gives, in the terms of the Open Inference Protocol; at most 200 inputs, all are in the artifact."""

    task: Annotated[Task, Field(description="What the model predicts.")]
    inputs: Annotated[list[TensorSpec], Field(max_length=MAX_TENSORS, description="What a request carries.")] = []
    outputs: Annotated[list[TensorSpec], Field(max_length=16, description="What an answer carries.")] = []


class TrainingRunStatus(StatusBase):
    phase: Annotated[
        str | None,
        Field(
            pattern="^(Pending|Running|Suspended|Registering|Succeeded|Failed)$",
            max_length=16,
            description="For people; programs read conditions.",
        ),
    ] = None
    progress: Annotated[Progress | None, Field(description="Of the running attempt.")] = None
    metrics: Annotated[list[MetricValue] | None, Field(max_length=16, description="On the held-out rows.")] = None
    primary: Annotated[str | None, Field(max_length=64, description="The primary metric, ready to read.")] = None
    attempts: Annotated[list[Attempt] | None, Field(max_length=50, description="All attempts, the last one last.")] = (
        None
    )
    artifact: Annotated[ResultArtifact | None, Field(description="What the run made.")] = None
    signature: Annotated[Signature | None, Field(description="What the model takes and gives.")] = None
    notes: Annotated[
        list[Text] | None,
        Field(max_length=32, description="What the training says of itself: encodings, the serving path, warnings."),
    ] = None
    model_version: Annotated[VersionName | None, Field(description="The version that was registered.")] = None
    lineage: Annotated[Lineage | None, Field(description="What the result was made from.")] = None
    start_time: Annotated[Time | None, Field(description="Of the first attempt.")] = None
    completion_time: Annotated[Time | None, Field(description="When the run was finished.")] = None
    retry_at: Annotated[Time | None, Field(description="When the next attempt starts.")] = None


TRAINING_RUN = Kind(
    kind="TrainingRun",
    plural="trainingruns",
    short="run",
    spec=TrainingRunSpec,
    status=TrainingRunStatus,
    columns=(
        Column("Phase", ".status.phase"),
        Column("Progress", ".status.progress.percent", "integer"),
        Column("Metric", ".status.primary"),
        Column("Version", ".status.modelVersion"),
        Column("Model", ".spec.model", wide=True),
        Column("Dataset", ".status.lineage.datasetVersion", wide=True),
    ),
    mutable=("suspend", "ttlAfterFinished"),
    description="One training of a model, to completion.",
)
