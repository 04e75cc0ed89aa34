"""DatasetVersion: one immutable snapshot with digest and profile. Facts live in spec, so losing status loses nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mainspring.api.v1alpha1.common import (
    VERSION_NAME_MAX,
    ApiModel,
    Column,
    ColumnName,
    Digest,
    Image,
    Kind,
    Name,
    ShortText,
    StatusBase,
    Time,
    Uri,
    VersionName,
)
from mainspring.api.v1alpha1.dataset import ColumnType, Task

MAX_COLUMNS = 200


class ColumnProfile(ApiModel):
    """A column with its role and summary. Counts are over the rows that have a target."""

    name: Annotated[ColumnName, Field(description="As in the data.")]
    type: Annotated[ColumnType, Field(description="What the values are.")]
    role: Annotated[
        str,
        Field(
            pattern="^(Feature|Target|Key|Timestamp|Weight|Sensitive|Ignored)$",
            max_length=16,
            description="What the column is for.",
        ),
    ]
    nullable: Annotated[bool, Field(description="Whether values may be missing.")] = True
    missing: Annotated[int, Field(description="Rows without a value.")] = 0
    distinct: Annotated[int | None, Field(description="Approximate for more than 10,000 distinct values.")] = None
    minimum: Annotated[float | None, Field(description="The least value.")] = None
    maximum: Annotated[float | None, Field(description="The greatest value.")] = None
    mean: Annotated[float | None, Field(description="Of numbers.")] = None
    median: Annotated[float | None, Field(description="Of numbers.")] = None


class CheckResult(ApiModel):
    name: Annotated[str, Field(max_length=63, description="The check of the Dataset.")]
    passed: Annotated[bool, Field(description="Whether no row breaks it.")]
    rows: Annotated[int, Field(description="Rows that the check returned.")] = 0
    message: Annotated[ShortText, Field(description="What was found.")] = ""
    examples: Annotated[list[ShortText] | None, Field(max_length=5, description="Keys; only with showExamples.")] = None


class SplitCounts(ApiModel):
    train: Annotated[int, Field(description="Rows to learn from.")]
    validation: Annotated[int, Field(description="Rows to tune on.")] = 0
    test: Annotated[int, Field(description="Rows held out for the evaluation.")]


class NewRowsBy(StrEnum):
    """How rows are told from those of the version before."""

    TIMESTAMP = "Timestamp"
    KEY = "Key"
    COUNT = "Count"


class NewRows(ApiModel):
    """Rows with a target that the version before did not have, or had without a target (labels that came late)."""

    since: Annotated[VersionName, Field(description="The version before, with which this one was compared.")]
    rows: Annotated[int, Field(ge=0, description="Rows with a target that are new since then.")]
    by: Annotated[
        NewRowsBy,
        Field(
            description="Timestamp: newer than every labelled row before, or labelled late; Key: a key that had no target before; Count: only the growth is known."
        ),
    ]
    total: Annotated[
        int,
        Field(ge=0, description="The sum of `rows` over this version and all before it, also those that are gone."),
    ]


class Parent(ApiModel):
    name: Annotated[VersionName, Field(description="A version whose rows went into this one.")]
    digest: Annotated[Digest, Field(description="Its digest.")]


class DatasetVersionSpec(ApiModel):
    dataset: Annotated[Name, Field(description="The Dataset that this is a version of.")]
    digest: Annotated[Digest, Field(description="Over the manifest: sorted (path, size, sha256).")]
    identity: Annotated[
        Digest | None,
        Field(description="Over source objects, spec and image: equal identity means nothing to prepare."),
    ] = None
    uri: Annotated[Uri, Field(description="Where the files are.")]
    size: Annotated[int | None, Field(description="Bytes.")] = None
    rows: Annotated[int, Field(description="Valid rows, with and without a target.")]
    labelled_rows: Annotated[
        int | None, Field(description="Rows with a target; the others wait for theirs, and no model sees them.")
    ] = None
    new_rows: Annotated[
        NewRows | None, Field(description="What there is to learn since the version before; absent in the first one.")
    ] = None
    invalid_rows: Annotated[int, Field(description="Rows dropped because they break `columns`.")] = 0
    task: Annotated[Task, Field(description="What the target is.")]
    target: Annotated[ColumnName, Field(description="The column to predict.")]
    splits: Annotated[SplitCounts, Field(description="Rows on each side.")]
    split_digest: Annotated[
        Digest | None, Field(description="Over the split rules: versions with the same one hold out the same rows.")
    ] = None
    data_cut: Annotated[Time | None, Field(description="The newest timestamp of a row with a target.")] = None
    column_count: Annotated[int | None, Field(description="All columns, also those beyond the first 200.")] = None
    columns: Annotated[
        list[ColumnProfile], Field(max_length=MAX_COLUMNS, description="At most 200; all are in the artifact.")
    ] = []
    checks: Annotated[list[CheckResult] | None, Field(max_length=64, description="The outcome of each check.")] = None
    parents: Annotated[
        list[Parent] | None, Field(max_length=8, description="Versions of other Datasets that were joined in.")
    ] = None
    image: Annotated[Image | None, Field(description="The image that prepared it.")] = None
    refreshed_at: Annotated[Time | None, Field(description="When the source was read.")] = None


class DatasetVersionStatus(StatusBase):
    failed_checks: Annotated[int | None, Field(description="Checks that rows broke.")] = None


DATASET_VERSION = Kind(
    kind="DatasetVersion",
    plural="datasetversions",
    short="dsv",
    spec=DatasetVersionSpec,
    status=DatasetVersionStatus,
    columns=(
        Column("Dataset", ".spec.dataset"),
        Column("Rows", ".spec.rows", "integer"),
        Column("New", ".spec.newRows.rows", "integer"),
        Column("Valid", '.status.conditions[?(@.type=="Valid")].status'),
        Column("Labelled", ".spec.labelledRows", "integer", wide=True),
        Column("Train", ".spec.splits.train", "integer", wide=True),
        Column("Test", ".spec.splits.test", "integer", wide=True),
        Column("Digest", ".spec.digest", wide=True),
    ),
    mutable=(),
    name_max=VERSION_NAME_MAX,
    description="One immutable, verified snapshot of a Dataset.",
)
