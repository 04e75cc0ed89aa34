"""Columns of rows into bins.

Numbers of all columns go as one block: what is missing or out of range costs one comparison for all of them, and only
the search for the bin is made column by column. Measured by `tests/bench/bench_monitoring.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mainspring_runtime.model.encoding import TIME_PARTS, times
from mainspring_runtime.model.signature import Column
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.profile import Feature
from mainspring_runtime.serve.tables import Schema, Table
from mainspring_runtime.serve.tensors import Array

Integers = npt.NDArray[np.int64]


class Counting(Protocol):
    """Counts some of the columns."""

    def count(self, table: Table) -> None: ...
    def totals(self) -> list[wire.ColumnCounts]: ...


class Columns:
    """All columns of a profile, and everything counted of them."""

    def __init__(self, features: Sequence[Feature], schema: Schema) -> None:
        self._order = [feature.name for feature in features]
        self._coerced = Counter[str]()
        self._parts = _parts(features, schema)

    def count(self, table: Table) -> None:
        """Add the rows of `table`."""
        for part in self._parts:
            part.count(table)
        for name, count in table.coercions:
            self._coerced[name] += count

    def totals(self) -> list[wire.ColumnCounts]:
        """In the order of the profile."""
        found = {column.name: column for part in self._parts for column in part.totals()}
        return [self._with_coerced(found[name]) for name in self._order]

    def _with_coerced(self, column: wire.ColumnCounts) -> wire.ColumnCounts:
        return wire.ColumnCounts(
            column.name, column.counts, column.missing, column.unseen, column.out_of_range, self._coerced[column.name]
        )


def _parts(features: Sequence[Feature], schema: Schema) -> list[Counting]:
    place = {column.name: index for index, column in enumerate(schema.other_columns)}
    inputs = {column.name: column for column in schema.columns}
    numbers = [feature for feature in features if feature.edges is not None]
    parts: list[Counting] = [Numbers(numbers, schema)] if numbers else []
    for feature in features:
        if feature.kind == "Category":
            parts.append(Categories(feature, inputs[feature.name], place[feature.name]))
        elif feature.kind == "String":
            parts.append(Strings(feature.name, place[feature.name]))
    return parts


class Numbers:
    """All columns that are numbers: floats, integers, booleans, and timestamps as days since 1970."""

    def __init__(self, features: Sequence[Feature], schema: Schema) -> None:
        at = {name: index for index, name in enumerate(schema.float_names)}
        floats = [feature for feature in features if feature.name in at]
        self._others = _converters([feature for feature in features if feature.name not in at], schema)
        ordered = floats + [feature for feature in features if feature.name not in at]
        self._at = np.array([at[feature.name] for feature in floats], dtype=np.intp)
        self._names = [feature.name for feature in ordered]
        self._edges = [np.array(feature.edges, dtype=np.float64) for feature in ordered]
        self._low = _bounds([feature.minimum for feature in ordered], np.inf)
        self._high = _bounds([feature.maximum for feature in ordered], -np.inf)
        sizes = [len(edges) + 1 for edges in self._edges]
        self._starts = np.cumsum([0, *sizes])
        self._cells: Integers = np.zeros(sum(sizes), dtype=np.int64)
        self._missing: Integers = np.zeros(len(ordered), dtype=np.int64)
        self._outside: Integers = np.zeros(len(ordered), dtype=np.int64)

    def count(self, table: Table) -> None:
        block = self._block(table)
        self._missing += np.count_nonzero(np.isnan(block), axis=1)
        self._outside += np.count_nonzero((block < self._low) | (block > self._high), axis=1)
        bins = np.empty(block.shape, dtype=np.intp)
        for found, edges, values in zip(bins, self._edges, block, strict=True):
            found[:] = edges.searchsorted(values, side="right")
        bins += self._starts[:-1, None]
        self._cells += np.bincount(bins.ravel(), minlength=len(self._cells))

    def _block(self, table: Table) -> Array:
        """Float64 [columns, rows], each column contiguous."""
        block = np.empty((len(self._names), table.rows))
        block[: len(self._at)] = table.floats.T[self._at]
        for row, (place, convert) in enumerate(self._others, len(self._at)):
            block[row] = convert(table.others[place])
        return block

    def totals(self) -> list[wire.ColumnCounts]:
        found = []
        for index, name in enumerate(self._names):
            missing = int(self._missing[index])
            counts = self._cells[self._starts[index] : self._starts[index + 1]].tolist()
            counts[-1] -= missing  # NaN sorts above all edges
            found.append(wire.ColumnCounts(name, counts, missing=missing, out_of_range=int(self._outside[index])))
        return found


def _bounds(values: Sequence[float | None], unknown: float) -> Array:
    """[columns, 1]. Where training saw no value at all, every value is out of range."""
    return np.array([[unknown if value is None else value] for value in values], dtype=np.float64)


def _converters(features: Sequence[Feature], schema: Schema) -> list[tuple[int, Callable[[Array], Array]]]:
    place = {column.name: index for index, column in enumerate(schema.other_columns)}
    return [(place[feature.name], _days if feature.kind == "Timestamp" else np.asarray) for feature in features]


def _days(texts: Array) -> Array:
    return TIME_PARTS["days"](times(texts))


class Categories:
    """A column of strings with a bin for each listed category, and one for all others."""

    def __init__(self, feature: Feature, column: Column, place: int) -> None:
        listed = feature.categories or []
        self._name = feature.name
        self._place = place
        # Behind the listed ones: others that training saw, those that it did not, and missing values.
        self._seen, self._unseen, self._missing = range(len(listed), len(listed) + 3)
        codes = dict.fromkeys(column.categories or (), self._seen)
        self._codes = codes | {category: index for index, category in enumerate(listed)} | {"": self._missing}
        self._cells = [0] * (self._missing + 1)

    def count(self, table: Table) -> None:
        for value, rows in Counter(table.others[self._place].tolist()).items():
            self._cells[self._codes.get(value, self._unseen)] += rows

    def totals(self) -> list[wire.ColumnCounts]:
        *listed, seen, unseen, missing = self._cells
        return [wire.ColumnCounts(self._name, [*listed, seen + unseen], missing=missing, unseen=unseen)]


class Strings:
    """A column of free text, of which only missing values are counted."""

    def __init__(self, name: str, place: int) -> None:
        self._name = name
        self._place = place
        self._missing = 0

    def count(self, table: Table) -> None:
        self._missing += table.others[self._place].tolist().count("")

    def totals(self) -> list[wire.ColumnCounts]:
        return [wire.ColumnCounts(self._name, missing=self._missing)]
