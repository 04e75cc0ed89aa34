"""ModelVersion: an immutable artifact with lineage, metrics and signature."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mainspring.api.v1alpha1.common import (
    VERSION_NAME_MAX,
    ApiModel,
    Column,
    Digest,
    Image,
    Kind,
    Name,
    Opaque,
    ShortText,
    StatusBase,
    StringMap,
    Time,
    Uri,
    VersionName,
)
from mainspring.api.v1alpha1.dataset import Task
from mainspring.api.v1alpha1.model import GATES_MAX, GateRows
from mainspring.api.v1alpha1.trainingrun import MAX_TENSORS, Metric, MetricValue, TensorSpec


class Artifact(ApiModel):
    uri: Annotated[Uri, Field(description="The directory with the files.")]
    digest: Annotated[Digest, Field(description="Over the manifest: sorted (path, size, sha256).")]
    model_digest: Annotated[
        Digest | None, Field(description="Over the canonical model files: equal when a training was reproduced.")
    ] = None
    size: Annotated[int | None, Field(description="Bytes.")] = None
    format: Annotated[ShortText | None, Field(description="skops, onnx, joblib, or custom.")] = None


class VersionSource(ApiModel):
    training_run: Annotated[Name | None, Field(description="The run that made it.")] = None
    training_run_uid: Annotated[str | None, Field(max_length=64, description="Tells runs of the same name apart.")] = (
        None
    )
    dataset_version: Annotated[VersionName | None, Field(description="What it learned from.")] = None
    dataset_digest: Annotated[Digest | None, Field(description="Its digest.")] = None
    dataset_uri: Annotated[Uri | None, Field(description="Where its files are.")] = None
    split_digest: Annotated[Digest | None, Field(description="Versions with the same one hold out the same rows.")] = (
        None
    )
    data_cut: Annotated[Time | None, Field(description="The newest timestamp that it has seen.")] = None
    image: Annotated[Image | None, Field(description="The image that trained it.")] = None
    image_id: Annotated[str | None, Field(max_length=512, description="The image as it ran, by digest.")] = None
    parameters: Annotated[Opaque | None, Field(description="As given to the estimator.")] = None
    libraries: Annotated[StringMap | None, Field(description="Versions of what trained it.")] = None
    seed: Annotated[int | None, Field(description="As used.")] = None
    must_improve: Annotated[bool | None, Field(description="Whether the run asked for a proof that it is better.")] = (
        None
    )
    started_at: Annotated[Time | None, Field(description="When the training started.")] = None


class ModelVersionSpec(ApiModel):
    model: Annotated[Name, Field(description="The Model that this is a version of.")]
    number: Annotated[int, Field(ge=1, le=2147483647, description="Never used twice within a Model.")]
    artifact: Annotated[Artifact, Field(description="The files.")]
    runtime_image: Annotated[
        Image | None, Field(description="The image to serve with; default: the runtime of the installed release.")
    ] = None
    source: Annotated[VersionSource | None, Field(description="What it was made from.")] = None
    task: Annotated[Task | None, Field(description="What it predicts.")] = None
    inputs: Annotated[
        list[TensorSpec] | None, Field(max_length=MAX_TENSORS, description="At most 200; all are in signature.json.")
    ] = None
    outputs: Annotated[list[TensorSpec] | None, Field(max_length=16, description="What it answers.")] = None
    metrics: Annotated[list[MetricValue] | None, Field(max_length=16, description="On the held-out rows.")] = None
    primary: Annotated[Metric | None, Field(description="The metric that `kubectl get` shows.")] = None


class ComparedMetric(ApiModel):
    """Candidate minus champion, signed so that positive is better, with the paired 95 % interval."""

    metric: Annotated[Metric, Field(description="The metric.")]
    on: Annotated[GateRows, Field(description="The rows.")]
    difference: Annotated[float | None, Field(description="Positive is better.")] = None
    lower: Annotated[float | None, Field(description="One-sided lower 95 % bound.")] = None
    upper: Annotated[float | None, Field(description="One-sided upper 95 % bound.")] = None
    rows: Annotated[int, Field(description="Rows that both versions held out.")] = 0
    smallest_detectable: Annotated[float | None, Field(description="The difference that this many rows can show.")] = (
        None
    )
    inconclusive: Annotated[ShortText | None, Field(description="Why there is no verdict.")] = None


class Comparison(ApiModel):
    champion: Annotated[VersionName, Field(description="What it was compared with.")]
    metrics: Annotated[
        list[ComparedMetric],
        Field(max_length=GATES_MAX + 1, description="One entry for each gate that compares, in their order."),
    ] = []


class GateResult(ApiModel):
    name: Annotated[str, Field(max_length=63, description="The gate of the Model.")]
    verdict: Annotated[
        str, Field(pattern="^(Passed|Failed|Inconclusive)$", max_length=16, description="Inconclusive is not passed.")
    ]
    message: Annotated[str, Field(max_length=512, description="Value, interval, rows and bound.")]


class ModelVersionStatus(StatusBase):
    comparison: Annotated[Comparison | None, Field(description="With the champion of that time.")] = None
    gates: Annotated[
        list[GateResult] | None,
        Field(
            max_length=GATES_MAX + 1, description="The outcome of each gate of the Model, and of the run's mustImprove."
        ),
    ] = None
    attempt: Annotated[int | None, Field(description="Failed evaluations so far.")] = None
    retry_at: Annotated[Time | None, Field(description="When a failed evaluation is tried again.")] = None
    stage: Annotated[str | None, Field(max_length=32, description="Candidate, Champion, Rejected or Archived.")] = None
    primary: Annotated[str | None, Field(max_length=64, description="The primary metric, ready to read.")] = None


MODEL_VERSION = Kind(
    kind="ModelVersion",
    plural="modelversions",
    short="mv",
    spec=ModelVersionSpec,
    status=ModelVersionStatus,
    columns=(
        Column("Model", ".spec.model"),
        Column("Number", ".spec.number", "integer"),
        Column("Stage", ".status.stage"),
        Column("Metric", ".status.primary"),
        Column("Gates", '.status.conditions[?(@.type=="GatesPassed")].status'),
        Column("Run", ".spec.source.trainingRun", wide=True),
        Column("Digest", ".spec.artifact.digest", wide=True),
    ),
    mutable=(),
    name_max=VERSION_NAME_MAX,
    # Names are what makes a number unique within a Model, also for versions that a person imports.
    rules=(
        {
            "rule": "self.metadata.name.startsWith(self.spec.model + '-v') && self.metadata.name.matches('-v[1-9][0-9]*$')"
            " && int(self.metadata.name.substring(self.spec.model.size() + 2)) == self.spec.number",
            "message": "metadata.name must be <spec.model>-v<spec.number>",
        },
    ),
    description="An immutable model artifact with its lineage, metrics and signature.",
)
