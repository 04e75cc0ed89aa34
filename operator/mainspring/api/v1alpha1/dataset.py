"""Dataset: where data comes from, what must hold, how it is split."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import (
    ApiModel,
    Column,
    ColumnName,
    Cron,
    Duration,
    Kind,
    Name,
    ObjectName,
    PodTemplate,
    Resources,
    ShortText,
    Sql,
    StatusBase,
    Time,
    TimeZone,
    Uri,
    VersionName,
    exactly_one,
    unique_by,
    validations,
)


class Format(StrEnum):
    CSV = "CSV"
    PARQUET = "Parquet"
    JSON_LINES = "JSONLines"


class Task(StrEnum):
    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"


class ColumnType(StrEnum):
    FLOAT = "Float"
    INTEGER = "Integer"
    BOOLEAN = "Boolean"
    CATEGORY = "Category"
    STRING = "String"
    TIMESTAMP = "Timestamp"


class ConfigMapKey(ApiModel):
    name: Annotated[ObjectName, Field(description="The ConfigMap.")]
    key: Annotated[str, Field(min_length=1, max_length=253, description="The key that holds the file.")]


class Source(ApiModel):
    """Where the rows come from: exactly one of `uri`, `configMap` and `sample`."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("uri", "configMap", "sample"),
            {
                "rule": "!has(self.uri) || self.uri.matches('^(s3|gs|az|https|file)://')",
                "message": "uri must start with s3://, gs://, az://, https:// or file://",
            },
            {
                "rule": "(has(self.uri) && self.uri.startsWith('file://')) == has(self.claim)",
                "message": "a file:// uri needs claim (the PersistentVolumeClaim that is mounted at /data), and only such a uri may have one",
            },
        )
    )

    uri: Annotated[
        Uri | None,
        Field(
            description="An object, or a prefix ending in `/` whose objects are read together: s3, gs, az, https or file."
        ),
    ] = None
    config_map: Annotated[ConfigMapKey | None, Field(description="A key of a ConfigMap in the same namespace.")] = None
    sample: Annotated[
        str | None,
        Field(
            pattern="^(breast_cancer|diabetes|iris|wine|digits)$",
            max_length=32,
            description="A data set that scikit-learn ships.",
        ),
    ] = None
    format: Annotated[Format | None, Field(description="By default told by the file name.")] = None
    credentials_secret: Annotated[
        ObjectName | None,
        Field(
            description="A Secret with the credentials of the source (AWS_ACCESS_KEY_ID, …). Default: the namespace's `mainspring-artifacts`."
        ),
    ] = None
    claim: Annotated[
        ObjectName | None, Field(description="For file:// only: the PersistentVolumeClaim, mounted read-only at /data.")
    ] = None


class ColumnSpec(ApiModel):
    """A declared column. Rows that break it are invalid and count towards `maxInvalidFraction`."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum",
                "message": "minimum must not be greater than maximum",
            },
            {
                "rule": "!(has(self.minimum) || has(self.maximum)) || self.type in ['Float', 'Integer']",
                "message": "minimum and maximum are only for type: Float and Integer",
            },
            {
                "rule": "!has(self.allowed) || self.type in ['Category', 'String']",
                "message": "allowed is only for type: Category and String",
            },
        )
    )

    name: Annotated[ColumnName, Field(description="As in the data.")]
    type: Annotated[ColumnType, Field(description="What the values are.")]
    nullable: Annotated[bool, Field(description="Whether values may be missing.")] = True
    minimum: Annotated[float | None, Field(description="The least value that is valid.")] = None
    maximum: Annotated[float | None, Field(description="The greatest value that is valid.")] = None
    allowed: Annotated[list[ShortText] | None, Field(max_length=256, description="Categories that may occur.")] = None


class Features(ApiModel):
    model_config = ConfigDict(json_schema_extra=validations(exactly_one("include", "exclude")))

    include: Annotated[list[ColumnName] | None, Field(max_length=512, description="These columns and no others.")] = (
        None
    )
    exclude: Annotated[list[ColumnName] | None, Field(max_length=512, description="All columns but these.")] = None


class Window(ApiModel):
    last: Annotated[
        Duration, Field(description="Only rows whose timestamp lies within this time before the newest row.")
    ]


class InputTable(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            {"rule": "self.name != 'dataset'", "message": "inputs[].name must not be dataset: that is the table itself"}
        )
    )

    name: Annotated[str, Field(pattern="^[a-z_][a-z0-9_]*$", max_length=63, description="The table's name in SQL.")]
    dataset: Annotated[Name, Field(description="A Dataset; its current version is read.")]


class Statement(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=63, description="Named in messages.")]
    sql: Annotated[Sql, Field(description="One SELECT of DuckDB's SQL; the data is the table `dataset`.")]


class SplitBy(StrEnum):
    HASH = "Hash"
    GROUP = "Group"
    TIME = "Time"


class Split(ApiModel):
    """Which rows are held out. A row never changes sides with Hash and Group; with Time it only moves from test to train."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "(self.by == 'Group') == has(self.column)",
                "message": "split.column is required by: Group, and only allowed there",
            },
            {
                "rule": "self.test + self.validation < 1.0",
                "message": "split.test + split.validation must be less than 1",
            },
        )
    )

    test: Annotated[
        float, Field(ge=0.01, le=0.9, description="Share of rows for the final evaluation, read once for each version.")
    ] = 0.2
    validation: Annotated[float, Field(ge=0.0, le=0.9, description="Share of rows for tuning.")] = 0.0
    by: Annotated[
        SplitBy,
        Field(
            description="Hash of the key, Group (rows with the same `column` stay together), or Time (the newest rows are held out)."
        ),
    ] = SplitBy.HASH
    column: Annotated[
        ColumnName | None, Field(description="For `by: Group`: rows with the same value stay on one side.")
    ] = None


class Refresh(ApiModel):
    schedule: Annotated[Cron, Field(description="Five-field cron expression.")]
    time_zone: Annotated[TimeZone, Field(description="IANA time zone.")] = "UTC"


class DatasetSpec(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=validations(
            {
                "rule": "self.split.by == 'Hash' || self.split.by == 'Group' || has(self.timestamp)",
                "message": "split.by: Time needs spec.timestamp",
            },
            {"rule": "!has(self.window) || has(self.timestamp)", "message": "spec.window needs spec.timestamp"},
            {
                "rule": "!has(self.positive) || self.task == 'Classification'",
                "message": "spec.positive is only for task: Classification",
            },
        )
    )

    source: Source
    task: Annotated[Task, Field(description="What the target is.")] = Task.CLASSIFICATION
    target: Annotated[ColumnName, Field(description="The column to predict.")]
    positive: Annotated[
        ShortText | None, Field(description="The positive class of a two-class target; by default the greater label.")
    ] = None
    key: Annotated[ColumnName | None, Field(description="Stable identity of a row, for splits and joins.")] = None
    timestamp: Annotated[
        ColumnName | None, Field(description="When the row happened; enables windows and Recent gates.")
    ] = None
    weight: Annotated[ColumnName | None, Field(description="Sample weights for training.")] = None
    sensitive: Annotated[
        list[ColumnName] | None,
        Field(max_length=16, description="Kept with the data; never features, never in samples."),
    ] = None
    features: Annotated[
        Features | None, Field(description="Default: all columns but target, key, timestamp, weight and sensitive.")
    ] = None
    window: Annotated[Window | None, Field(description="Train on recent rows only.")] = None
    columns: Annotated[
        list[ColumnSpec] | None,
        Field(
            max_length=512,
            json_schema_extra=unique_by("name"),
            description="Inferred when absent, then pinned by the first version.",
        ),
    ] = None
    inputs: Annotated[
        list[InputTable] | None,
        Field(max_length=8, json_schema_extra=unique_by("name"), description="Other Datasets as tables for `prepare`."),
    ] = None
    prepare: Annotated[
        list[Statement] | None,
        Field(
            max_length=16,
            json_schema_extra=unique_by("name"),
            description="SELECT statements in order; each result becomes the table `dataset`.",
        ),
    ] = None
    checks: Annotated[
        list[Statement] | None,
        Field(max_length=64, json_schema_extra=unique_by("name"), description="SQL that must return no rows."),
    ] = None
    max_invalid_fraction: Annotated[
        float, Field(ge=0.0, le=1.0, description="Share of rows that may break `columns`; those rows are dropped.")
    ] = 0.0
    show_examples: Annotated[bool, Field(description="Show keys of offending rows in status.")] = False
    split: Split = Split()
    refresh: Annotated[
        Refresh | None, Field(description="When to look for new data; without it once per change of the spec.")
    ] = None
    retain: Annotated[int, Field(ge=1, le=100, description="Versions to keep; those in use stay.")] = 10
    resources: Resources | None = None
    pod_template: PodTemplate | None = None


class DatasetStatus(StatusBase):
    current: Annotated[VersionName | None, Field(description="The newest valid DatasetVersion.")] = None
    latest: Annotated[VersionName | None, Field(description="The newest DatasetVersion, valid or not.")] = None
    last_checked: Annotated[Time | None, Field(description="When the source was last looked at.")] = None
    trigger: Annotated[ShortText | None, Field(description="What asked for the last completed preparation.")] = None
    next_refresh: Annotated[Time | None, Field(description="When the schedule looks at the source again.")] = None
    tried: Annotated[ShortText | None, Field(description="The trigger to which `attempt` belongs.")] = None
    attempt: Annotated[int | None, Field(description="Failed preparations since the last good one.")] = None
    retry_at: Annotated[Time | None, Field(description="When a failed preparation is tried again.")] = None
    rows: Annotated[int | None, Field(description="Rows of the current version.")] = None
    versions: Annotated[int | None, Field(description="Versions that are kept.")] = None


DATASET = Kind(
    kind="Dataset",
    plural="datasets",
    short="dset",
    spec=DatasetSpec,
    status=DatasetStatus,
    columns=(
        Column("Current", ".status.current"),
        Column("Rows", ".status.rows", "integer"),
        Column("Checked", ".status.lastChecked", "date"),
        Column("Target", ".spec.target", wide=True),
        Column("Task", ".spec.task", wide=True),
        Column("Versions", ".status.versions", "integer", wide=True),
    ),
    description="Where data comes from, what must hold of it, and how it is split.",
)
