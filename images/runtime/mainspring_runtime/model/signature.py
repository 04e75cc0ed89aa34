"""`signature.json`: what a model takes and gives, in the datatypes of the Open Inference Protocol v2.

Wire types (rule by column type): Float is FP64; a nullable Integer or Boolean is FP64 too, with NaN for missing;
Integer is INT64 and Boolean BOOL when they cannot be missing; Category and String are BYTES with '' for missing;
Timestamp is BYTES in RFC 3339 with '' for missing. Every input column is `[N]` or `[N, 1]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mainspring_runtime.errors import PermanentError

FILE = "signature.json"
# The first two are what Datasets know (`mainspring.api.v1alpha1.dataset.Task`); the others are tasks of packaged models.
CLASSIFICATION = "Classification"
REGRESSION = "Regression"
CLUSTERING = "Clustering"
TRANSFORMATION = "Transformation"
ANOMALY_DETECTION = "AnomalyDetection"
DENSITY_ESTIMATION = "DensityEstimation"

PREDICT = "predict"

Label = str | int


@dataclass(frozen=True)
class Column:
    """One input. `kind` is a ColumnType; `categories` are those of the training rows, None for other kinds."""

    name: str
    datatype: str
    nullable: bool
    kind: str
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Output:
    """One output; the first dimension, the rows, is -1.

    `classes` and `columns` say what the last dimension lists: classes, or the names of targets or features.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    classes: tuple[Label, ...] | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Signature:
    """Inputs in the order in which one tensor `[N, F]` lists them; `classes` in the order of per-class outputs.

    `key` is the column that tells rows of the Dataset apart. Callers may send it along, the model never sees it.
    """

    inputs: tuple[Column, ...]
    outputs: tuple[Output, ...]
    default_outputs: tuple[str, ...] = ("predict",)
    classes: tuple[Label, ...] | None = None
    task: str = CLASSIFICATION
    key: str | None = None

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs)

    @property
    def has_labels(self) -> bool:
        """Whether a prediction is one class or one number a row, which what turned out to be true can be compared with."""
        if self.task == CLASSIFICATION:
            return self.classes is not None
        return self.task == REGRESSION and any(item.name == PREDICT and len(item.shape) == 1 for item in self.outputs)

    def to_json(self) -> str:
        """The content of `signature.json`: equal signatures give equal bytes."""
        document = {
            "task": self.task,
            "inputs": [asdict(column) for column in self.inputs],
            "outputs": [_output_document(output) for output in self.outputs],
            "defaultOutputs": self.default_outputs,
            "classes": self.classes,
        } | ({} if self.key is None else {"key": self.key})
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def wire_datatype(kind: str, nullable: bool) -> str:
    """The datatype of a column of that ColumnType on the wire."""
    match kind:
        case "Float":
            return "FP64"
        case "Integer":
            return "FP64" if nullable else "INT64"
        case "Boolean":
            return "FP64" if nullable else "BOOL"
        case _:
            return "BYTES"


def read_signature(directory: Path) -> Signature:
    """Read `signature.json` of a model version. Raises `PermanentError("InvalidSignature")` naming what is wrong."""
    path = directory / FILE
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PermanentError("InvalidSignature", f"the model version has no {FILE}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(
            "InvalidSignature", f"{FILE} is not a signature: {type(error).__name__}: {error}"
        ) from error


def from_json(text: str) -> Signature:
    """The reverse of `Signature.to_json`. Raises ValueError, KeyError, TypeError or AttributeError."""
    document = json.loads(text)
    classes = document.get("classes")
    return Signature(
        inputs=tuple(_column(item) for item in document["inputs"]),
        outputs=tuple(_output(item) for item in document["outputs"]),
        default_outputs=tuple(document.get("defaultOutputs", ("predict",))),
        classes=None if classes is None else tuple(classes),
        task=document["task"],
        key=document.get("key"),
    )


def _column(item: Mapping[str, Any]) -> Column:
    categories = item.get("categories")
    return Column(
        name=item["name"],
        datatype=item["datatype"],
        nullable=bool(item["nullable"]),
        kind=item["kind"],
        categories=None if categories is None else tuple(categories),
    )


def _output(item: Mapping[str, Any]) -> Output:
    classes, columns = item.get("classes"), item.get("columns")
    return Output(
        name=item["name"],
        datatype=item["datatype"],
        shape=tuple(item["shape"]),
        classes=None if classes is None else tuple(classes),
        columns=None if columns is None else tuple(columns),
    )


def _output_document(output: Output) -> dict[str, Any]:
    """What is not said is left out, so that models without it keep their bytes."""
    return {name: value for name, value in asdict(output).items() if value is not None}
