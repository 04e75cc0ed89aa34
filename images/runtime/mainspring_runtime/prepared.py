"""Read a prepared dataset version: the directory that `prepare` wrote. Used by `train` and `evaluate`.

Rows come as the columns that a predictor takes (see `model.predictor`), so a model is trained on exactly what it will be
asked: missing numbers are NaN, missing strings '', times RFC 3339 texts. Test rows are read only by asking for them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mainspring.api.contract import ArtifactRef
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.signature import CLASSIFICATION, Label, wire_datatype

Array = npt.NDArray[Any]
Split = Literal["train", "validation", "test"]

COLUMNS_FILE = "columns.json"
DATASET_FILE = "dataset.json"
TEXTS = frozenset({"Category", "String"})
# Not `data/unlabelled.parquet`: no model sees rows that wait for their target. Some will be test rows.
FILES = frozenset({COLUMNS_FILE, DATASET_FILE, "data/train.parquet", "data/validation.parquet", "data/test.parquet"})
BOOLEAN_LABELS = {"false": 0, "true": 1}


@dataclass(frozen=True)
class DatasetColumn:
    """A column as `prepare` describes it; `kind` is a ColumnType, `categories` are set for Category."""

    name: str
    kind: str
    role: str
    nullable: bool
    categories: tuple[str, ...] | None = None

    @property
    def datatype(self) -> str:
        return wire_datatype(self.kind, self.nullable)


@dataclass(frozen=True)
class Rows:
    """N rows of one split that have a target.

    `columns`: features by name; `target`: labels (object array of str, or int64) or float64 values; `weight`: float64 or
    None; `timestamp`: datetime64[us] in UTC or None; `unlabelled`: rows left out because their target is missing.
    """

    columns: dict[str, Array]
    target: Array
    weight: Array | None = None
    timestamp: Array | None = None
    unlabelled: int = 0

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: Array) -> Rows:
        """The rows at these positions, or where this mask is true."""
        return Rows(
            {name: values[index] for name, values in self.columns.items()},
            self.target[index],
            None if self.weight is None else self.weight[index],
            None if self.timestamp is None else self.timestamp[index],
        )


@dataclass(frozen=True)
class PreparedDataset:
    """What `dataset.json` and `columns.json` say. `features` are in the order of the signature."""

    directory: Path
    task: str
    target: DatasetColumn
    features: tuple[DatasetColumn, ...]
    positive: Label | None = None
    key: str | None = None
    timestamp: str | None = None
    weight: str | None = None
    sensitive: tuple[str, ...] = ()
    split_digest: str | None = None
    data_cut: str | None = None

    @property
    def is_classification(self) -> bool:
        return self.task == CLASSIFICATION

    @property
    def has_validation(self) -> bool:
        return self._path("validation").is_file()

    def rows(self, split: Split) -> Rows:
        """Read a split. Raises `PermanentError`: InvalidTarget, InvalidWeight or InvalidDataset."""
        table = self._read(split)
        known = pc.is_valid(table[self.target.name])
        kept = table.filter(known)
        return Rows(
            columns={column.name: to_numpy(column, kept[column.name]) for column in self.features},
            target=self._target(kept[self.target.name]),
            weight=None if self.weight is None else _weights(self.weight, kept[self.weight]),
            timestamp=None if self.timestamp is None else kept[self.timestamp].to_numpy().astype("datetime64[us]"),
            unlabelled=len(table) - len(kept),
        )

    def label(self, value: Label | float) -> Label:
        """A label as a document or a spec has it, in the type that `Rows.target` has."""
        if self.target.kind in TEXTS:
            return str(value)
        try:
            return (
                BOOLEAN_LABELS[value.lower()]
                if isinstance(value, str) and self.target.kind == "Boolean"
                else int(float(value))
            )
        except (KeyError, ValueError) as error:
            raise PermanentError(
                "InvalidTarget", f"positive: {value!r} is not a value of {self.target.name!r} ({self.target.kind})"
            ) from error

    def _path(self, split: Split) -> Path:
        return self.directory / "data" / f"{split}.parquet"

    def _read(self, split: Split) -> pyarrow.Table:
        names = [column.name for column in self.features]
        names += [name for name in (self.target.name, self.weight, self.timestamp) if name is not None]
        try:
            return pq.read_table(self._path(split), columns=list(dict.fromkeys(names)))
        except (OSError, pyarrow.ArrowException) as error:
            raise PermanentError("InvalidDataset", f"data/{split}.parquet cannot be read: {error}") from error

    def _target(self, values: pyarrow.ChunkedArray) -> Array:
        if not self.is_classification:
            return self._numbers(values)
        if self.target.kind in TEXTS:
            return _texts(values)
        numbers = self._numbers(values)
        if np.any(numbers != np.floor(numbers)):
            message = f"the target {self.target.name!r} has fractions, which are no classes; set spec.task of the Dataset to Regression"
            raise PermanentError("InvalidTarget", message)
        return numbers.astype(np.int64)

    def _numbers(self, values: pyarrow.ChunkedArray) -> Array:
        if self.target.kind in TEXTS or self.target.kind == "Timestamp":
            message = f"the target {self.target.name!r} is a {self.target.kind}, which task {self.task} cannot predict"
            raise PermanentError("InvalidTarget", message)
        numbers = _floats(values)
        if not np.all(np.isfinite(numbers)):
            raise PermanentError(
                "InvalidTarget",
                f"the target {self.target.name!r} contains NaN or infinity; remove these rows in spec.prepare",
            )
        return numbers


def fetch_dataset(reference: ArtifactRef, directory: Path) -> PreparedDataset:
    """Download what models are trained and judged by, verify and describe it. Raises `JobError`."""
    artifacts.fetch(reference.uri, reference.digest, directory, only=FILES)
    return read_dataset(directory)


def read_dataset(directory: Path) -> PreparedDataset:
    """Read the description of the dataset in `directory`. Raises `PermanentError("InvalidDataset")`."""
    try:
        facts = json.loads((directory / DATASET_FILE).read_text(encoding="utf-8"))
        columns = {
            item["name"]: _column(item) for item in json.loads((directory / COLUMNS_FILE).read_text(encoding="utf-8"))
        }
        return PreparedDataset(
            directory=directory,
            task=facts["task"],
            target=columns[facts["target"]],
            features=tuple(columns[name] for name in facts["features"]),
            positive=facts.get("positive"),
            key=facts.get("key"),
            timestamp=facts.get("timestamp"),
            weight=facts.get("weight"),
            sensitive=tuple(facts.get("sensitive") or ()),
            split_digest=facts.get("splitDigest"),
            data_cut=facts.get("dataCut"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = (
            f"{DATASET_FILE} and {COLUMNS_FILE} do not describe a prepared dataset: {type(error).__name__}: {error}"
        )
        raise PermanentError("InvalidDataset", message) from error


def to_numpy(column: DatasetColumn, values: pyarrow.ChunkedArray) -> Array:
    """A column [N] in the dtype of its wire datatype."""
    match column.datatype:
        case "BYTES":
            return _rfc3339(values) if column.kind == "Timestamp" else _texts(values)
        case "FP64":
            return _floats(values)
    if values.null_count:
        message = f"column {column.name!r} is not nullable but {values.null_count} of its values are missing"
        raise PermanentError("InvalidDataset", message)
    return np.asarray(values.to_numpy())


def _column(item: dict[str, Any]) -> DatasetColumn:
    categories = item.get("categories")
    return DatasetColumn(
        item["name"],
        item["type"],
        item["role"],
        item.get("nullable", True),
        None if categories is None else tuple(categories),
    )


def _floats(values: pyarrow.ChunkedArray) -> Array:
    if pyarrow.types.is_boolean(values.type):
        values = values.cast(pyarrow.uint8())
    return np.asarray(values.cast(pyarrow.float64(), safe=False).to_numpy(), dtype=np.float64)


def _texts(values: pyarrow.ChunkedArray) -> Array:
    """Equal strings are one object, which keeps columns of few categories small."""
    coded = values.fill_null("").combine_chunks().dictionary_encode()
    if isinstance(coded, pyarrow.ChunkedArray):
        coded = coded.combine_chunks()
    dictionary = np.array(coded.dictionary.to_pylist() or [""], dtype=object)
    return np.asarray(dictionary[coded.indices.to_numpy()])


def _rfc3339(values: pyarrow.ChunkedArray) -> Array:
    return _texts(pc.binary_join_element_wise(pc.strftime(values, format="%Y-%m-%dT%H:%M:%S"), "Z", ""))


def _weights(name: str, values: pyarrow.ChunkedArray) -> Array:
    weights = _floats(values)
    if not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise PermanentError(
            "InvalidWeight", f"the weight column {name!r} has missing or negative values; fill them in spec.prepare"
        )
    return weights
