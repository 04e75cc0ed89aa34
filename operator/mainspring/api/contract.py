"""The contract between the operator and the pods it creates: what a Job is told and what it reports.

Each Job has one ConfigMap of its own name. The operator creates it with the key `task.json`, mounted read-only at
`TASK_PATH`. The pod patches the keys `progress.json` (a `ProgressReport`) while it works and `report.json` (a report of
its kind) before it ends; its ServiceAccount may do just that. The termination message carries an `Outcome` (at most
4,096 bytes), so a failure is explained even when the API server could not be reached.

Exit codes: 0 done, `EXIT_RETRYABLE` worth another attempt, `EXIT_PERMANENT` the input must change first.
The server (`serve`) is told by environment variables alone: see `ServerEnv`.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from mainspring.api.monitoring import FeedbackCounts
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.api.v1alpha1.dataset import DatasetSpec, Task
from mainspring.api.v1alpha1.datasetversion import CheckResult, ColumnProfile, NewRows, SplitCounts
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ComparedMetric, VersionSource
from mainspring.api.v1alpha1.trainingrun import Metric, MetricValue, TensorSpec, TrainingRunSpec

TASK_KEY = "task.json"
REPORT_KEY = "report.json"
PROGRESS_KEY = "progress.json"
TASK_DIR = "/etc/mainspring/task"
TASK_PATH = f"{TASK_DIR}/{TASK_KEY}"
SOURCE_DIR = "/etc/mainspring/source"  # a ConfigMap source, mounted as one file per key
CLAIM_DIR = "/data"  # a PersistentVolumeClaim source
WORK_DIR = "/work"  # an emptyDir, the only place that can be written
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_MAX_BYTES = 4096
REPORT_MAX_BYTES = 800_000

ENV_TASK = "MAINSPRING_TASK"  # path of task.json
ENV_REPORT = "MAINSPRING_REPORT"  # name of the ConfigMap to patch
ENV_NAMESPACE = "MAINSPRING_NAMESPACE"
ENV_INPUT = "MAINSPRING_INPUT"
ENV_OUTPUT = "MAINSPRING_OUTPUT"
ENV_CHECKPOINT = "MAINSPRING_CHECKPOINT"
ENV_EVENTS = "MAINSPRING_EVENTS"
ENV_SOURCE_PREFIX = (
    "SOURCE_"  # `credentialsSecret` arrives by envFrom with this prefix, beside those of the artifact store
)

# Keys of Secrets of the user's own, and the variables in which our containers get their values.
PUBLIC_KEY, PRIVATE_KEY, PRIVATE_KEY_PASSWORD = "public.pem", "private.pem", "password"
ENV_PUBLIC_KEY = "MAINSPRING_PUBLIC_KEY"
ENV_PRIVATE_KEY = "MAINSPRING_PRIVATE_KEY"
ENV_PRIVATE_KEY_PASSWORD = "MAINSPRING_PRIVATE_KEY_PASSWORD"
SIGNING_KEY_INVALID = "SigningKeyInvalid"
# What a signature can lack; each heals when the version is signed again.
SIGNATURE_REASONS = frozenset({"SignatureMissing", "SignatureInvalid", "SignatureMismatch"})

EXIT_RETRYABLE = 1
EXIT_PERMANENT = 42


class ServerEnv(StrEnum):
    """Environment of `mainspring_runtime serve`."""

    MODEL_NAME = "MAINSPRING_MODEL_NAME"  # the name on the wire
    MODEL_VERSION = "MAINSPRING_MODEL_VERSION"  # the number, as text
    MODEL_URI = "MAINSPRING_MODEL_URI"
    MODEL_DIGEST = "MAINSPRING_MODEL_DIGEST"  # of the manifest; nothing else is ever loaded
    TRUSTED_TYPES = "MAINSPRING_TRUSTED_TYPES"  # JSON list
    ALLOW_PICKLE = "MAINSPRING_ALLOW_PICKLE"  # "true" or "false"
    VERIFICATION_SECRET = "MAINSPRING_VERIFICATION_SECRET"  # its name; set when a signature is asked for
    PUBLIC_KEY = "MAINSPRING_PUBLIC_KEY"  # PEM
    REVISION = "MAINSPRING_REVISION"  # of the service: whether a split is meant for this pod
    SPLIT_DIR = "MAINSPRING_SPLIT_DIR"  # where the file of a split is; default `splitting.SPLIT_DIR`
    PORT = "MAINSPRING_PORT"  # inference, default 8080
    INTERNAL_PORT = "MAINSPRING_INTERNAL_PORT"  # metrics and the like, default 8081
    FEEDBACK_KEY = "MAINSPRING_FEEDBACK_KEY"  # secret that signs feedback tokens; without it there is no feedback
    PAYLOAD_LOG = "MAINSPRING_PAYLOAD_LOG"  # JSON of `PayloadLogSettings`; without it nothing is logged
    SERVER = "MAINSPRING_SERVER"  # JSON of `ServerSettings`; what is not named has the server's own default


class ServerSettings(ApiModel):
    """Limits of a server, as far as its user set them."""

    max_batch_rows: int | None = None
    max_queue: int | None = None
    max_rows: int | None = None
    max_body_bytes: int | None = None
    request_seconds: float | None = None
    load_seconds: float | None = None
    warmup: bool | None = None


class PayloadLogSettings(ApiModel):
    """What a server logs of requests and answers, and where to; `mainspring_runtime.payloads` says how parts are named."""

    uri: str  # of the service's log, in the artifact store
    sample_rate: float
    redact: list[str] = []
    part_seconds: float
    part_rows: int
    keep_seconds: float


class Outcome(ApiModel):
    """The termination message."""

    outcome: Literal["Succeeded", "Failed"]
    reason: Annotated[str, Field(max_length=64)] = ""  # CamelCase; why it failed
    message: Annotated[str, Field(max_length=2048)] = ""  # a sentence that names the field or object and the fix
    details: Annotated[list[str], Field(max_length=10)] = []  # named offenders
    digest: str | None = None  # of what was made, on success


class ProgressReport(ApiModel):
    percent: Annotated[int, Field(ge=0, le=100)]
    stage: str


class ArtifactRef(ApiModel):
    """A directory in the artifact store with a `manifest.json`; `digest` is checked before anything is read."""

    name: str
    uri: str
    digest: str


class PrepareTask(ApiModel):
    """`prepare`: read the source, clean, check, split, profile and publish one dataset version."""

    kind: Literal["prepare"] = "prepare"
    namespace: str
    dataset: str
    spec: DatasetSpec
    inputs: list[ArtifactRef] = []  # name = the table's name in SQL
    destination: str  # the version is published under <destination>/<digest without "sha256:">/
    image: str  # enters the identity
    refreshed_at: str  # RFC 3339: $refreshed_at in checks
    previous_identity: str | None = None  # equal identity: report `unchanged` without preparing
    # The current version: pins inferred columns, Time splits only move forward, and new rows are those it had not.
    previous: ArtifactRef | None = None
    previous_total: int = 0  # its newRows.total


class PrepareReport(ApiModel):
    unchanged: bool = False
    identity: str
    digest: str | None = None
    uri: str | None = None
    size: int | None = None
    rows: int | None = None
    labelled_rows: int | None = None
    new_rows: NewRows | None = None
    invalid_rows: int = 0
    columns: list[ColumnProfile] = []  # the first MAX_COLUMNS
    column_count: int | None = None
    splits: SplitCounts | None = None
    split_digest: str | None = None
    checks: list[CheckResult] = []
    data_cut: str | None = None


class DatasetFacts(ApiModel):
    """What training needs to know about a dataset version."""

    artifact: ArtifactRef
    task: Task
    target: str
    positive: str | None = None
    columns: list[ColumnProfile] | None = (
        None  # as shown in the DatasetVersion; `columns.json` in the artifact is complete
    )
    split_digest: str | None = None
    data_cut: str | None = None


class ModelFacts(ApiModel):
    name: str
    spec: ModelSpec


class TrainTask(ApiModel):
    """`train` (estimator), `fetch` and `publish` (around a user's container), `check-signing-key` and `sign`."""

    kind: Literal["train"] = "train"
    namespace: str
    run: str
    attempt: int
    spec: TrainingRunSpec
    dataset: DatasetFacts
    model: ModelFacts
    destination: str  # published under <destination>/<digest without "sha256:">/
    image: str


class TrainReport(ApiModel):
    digest: str
    model_digest: str | None = None
    uri: str
    size: int
    format: str
    task: Task
    metrics: list[MetricValue] = []
    primary: Metric | None = None
    inputs: list[TensorSpec] = []  # the first MAX_TENSORS
    outputs: list[TensorSpec] = []
    rows: SplitCounts | None = None
    threads: int | None = None
    libraries: dict[str, str] = {}
    notes: list[str] = []  # what Auto preprocessing did, which fast path was taken or not and why, warnings


class CompareTask(ApiModel):
    """What `versusChampion` gates need: both artifacts, and the candidate's dataset for its held-out rows."""

    champion: ArtifactRef
    champion_dataset: ArtifactRef
    champion_split_digest: str | None = None
    champion_data_cut: str | None = None
    dataset: ArtifactRef
    split_digest: str | None = None
    metrics: list[RequestedComparison]


class RequestedComparison(ApiModel):
    metric: Metric
    on: str | None = None  # GateRows; None: Recent when there is a timestamp


class EvaluateTask(ApiModel):
    """`evaluate`: verify every byte of a version, load it, reproduce its own sample, and compare it with the champion."""

    kind: Literal["evaluate"] = "evaluate"
    namespace: str
    model_version: str
    artifact: ArtifactRef
    model: ModelFacts
    source: VersionSource | None = None
    comparison: CompareTask | None = None


class EvaluateReport(ApiModel):
    digest: str
    size: int
    format: str
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    compared: list[ComparedMetric] = []
    signed_by: str | None = None  # SHA-256 of the public key that verified the signature, when one was asked for
    notes: list[str] = []
    fast_path: bool | None = None  # a server answers by ONNX Runtime; None: it is for an image of its own to say
    fallback_reason: Annotated[str, Field(max_length=512)] = ""  # why not


class JoinTask(ApiModel):
    """`join`: what a Dataset says of logged predictions. The same task on the same data gives the same report."""

    kind: Literal["join"] = "join"
    namespace: str
    monitor: str
    log: str  # the payload log of the service
    model: str  # whose predictions: the version by its number and the digest of its artifact
    version: str
    digest: str
    since: str  # RFC 3339; predictions answered in [since, until)
    until: str
    dataset: ArtifactRef
    key: str
    target: str
    classes: list[str] | None = None  # as in `monitoring.Reference`
    positive: str | None = None
    score_bins: int = 0
    slices: list[str] = []  # inputs that every part has


class SliceCounts(ApiModel):
    """Of the predictions whose input `column` was this one; None: those where it was missing."""

    column: str
    category: str | None = None
    rows: int
    feedback: FeedbackCounts


class JoinReport(ApiModel):
    rows: int  # logged predictions in the time
    covers: bool  # the log has earlier ones, too: it did not begin in that time
    without_key: int = 0
    ambiguous: int = 0  # rows whose key has several labels: not counted
    unreadable: int = 0  # parts
    predicted: list[int] | None = None  # rows by predicted class
    feedback: FeedbackCounts
    slices: list[SliceCounts] = []
    refused_slices: list[str] = []  # sentences


def as_json(value: ApiModel) -> str:
    """The wire form, with sorted keys so that equal values give equal bytes."""
    return json.dumps(value.to_dict(), sort_keys=True, ensure_ascii=False)


AnyTask = PrepareTask | TrainTask | EvaluateTask | JoinTask
JsonObject = dict[str, Any]

CompareTask.model_rebuild()
