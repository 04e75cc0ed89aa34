"""The rows of a dataset by split. Test rows are in here too, and go to nothing but `outcome` and `watching`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.prepared import Array, DatasetColumn, PreparedDataset, Rows


@dataclass(frozen=True)
class Splits:
    """Each split read once; `validation` is None without one."""

    train: Rows
    test: Rows
    validation: Rows | None = None

    @property
    def all(self) -> tuple[Rows, ...]:
        return (self.train, self.test) if self.validation is None else (self.train, self.test, self.validation)

    @property
    def counts(self) -> dict[str, int]:
        return {"train": len(self.train), "validation": len(self.validation or ()), "test": len(self.test)}

    @property
    def unlabelled(self) -> int:
        """Rows that were left out because they have no target."""
        return sum(rows.unlabelled for rows in self.all)


def read_splits(dataset: PreparedDataset) -> Splits:
    """All rows with a target. Raises `PermanentError("NoRows")` when none are held out."""
    splits = Splits(
        dataset.rows("train"), dataset.rows("test"), dataset.rows("validation") if dataset.has_validation else None
    )
    if len(splits.test) == 0:
        raise PermanentError(
            "NoRows",
            "there is no test row with a target, so nothing can be measured; raise spec.split.test of the Dataset",
        )
    return splits


def require_complete(dataset: PreparedDataset, splits: Splits) -> tuple[PreparedDataset, Splits]:
    """Columns without a missing value in the training rows are no longer nullable: requests must have them.

    For models without our preprocessing: what they would do with a value that was never missing before is anybody's guess,
    from an exception to a wrong branch.
    """
    features = tuple(
        replace(column, nullable=_has_missing(splits.train.columns[column.name])) for column in dataset.features
    )
    conformed = Splits(*(_conform(rows, features) for rows in splits.all))
    return replace(dataset, features=features), conformed


def _has_missing(values: Array) -> bool:
    return bool(
        np.any(values == "")
        if values.dtype == object
        else np.isnan(values).any()
        if values.dtype.kind == "f"
        else False
    )


def _conform(rows: Rows, features: tuple[DatasetColumn, ...]) -> Rows:
    """Whole numbers and booleans in their own dtype where nothing is missing."""
    columns = {column.name: _cast(column, rows.columns[column.name]) for column in features}
    return replace(rows, columns=columns)


def _cast(column: DatasetColumn, values: Array) -> Array:
    dtypes = {"INT64": np.int64, "BOOL": np.bool_}
    return values.astype(dtypes[column.datatype]) if column.datatype in dtypes and not _has_missing(values) else values
