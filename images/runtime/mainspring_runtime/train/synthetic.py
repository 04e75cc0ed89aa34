"""Rows that nobody has: every column is drawn on its own, so no combination of values says anything about a person.

Used twice: to prove that ONNX gives what scikit-learn gives (with many values right at the places where trees decide),
and for the sample that a version carries and every server reproduces. Drawn from training rows; key, target and sensitive
columns are no features and so never occur.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mainspring_runtime.model.encoding import Array
from mainspring_runtime.prepared import DatasetColumn, Rows

UNSEEN_CATEGORY = "never-seen"
EDGE_SHARE = 0.25
BOUNDARY_SHARE = 0.25
EDGE_TIMES = ("1970-01-01T00:00:00Z", "2099-12-31T23:59:59.999999Z")

Drawn = Mapping[str, Array]


@dataclass(frozen=True)
class Source:
    """What the values of one column are drawn from."""

    column: DatasetColumn
    observed: Array
    edges: Array
    boundaries: Array

    def draw(self, rows: int, generator: np.random.Generator) -> Array:
        """Values [rows] in the column's own dtype; the first ones are all its edges, so that none is left to chance."""
        values = generator.choice(self.observed, rows)
        pick = generator.random(rows)
        if len(self.boundaries):
            chosen = pick < BOUNDARY_SHARE
            values[chosen] = generator.choice(self.boundaries, int(chosen.sum()))
        chosen = pick > 1 - EDGE_SHARE
        values[chosen] = generator.choice(self.edges, int(chosen.sum()))
        values[: len(self.edges)] = self.edges[:rows]
        return generator.permutation(values)


def draw(
    columns: Sequence[DatasetColumn],
    rows: Rows,
    count: int,
    seed: int,
    boundaries: Mapping[str, Array] | None = None,
    *,
    edges: bool = True,
) -> dict[str, Array]:
    """`count` rows as columns by name. `boundaries`: values to insert by column, such as the thresholds of trees.

    Without `edges` every value but those is one that was observed: some models refuse what they have not seen.
    """
    generator = np.random.default_rng(seed)
    given = boundaries or {}
    sources = {column.name: _source(column, rows.columns[column.name], given.get(column.name)) for column in columns}
    if not edges:
        sources = {name: replace(source, edges=rows.columns[name]) for name, source in sources.items()}
    return {name: source.draw(count, generator) for name, source in sources.items()}


def _source(column: DatasetColumn, values: Array, boundaries: Array | None) -> Source:
    observed, edges = _EDGES[column.datatype](column, values)
    usable = np.array([], dtype=observed.dtype) if boundaries is None or column.datatype != "FP64" else boundaries
    return Source(column, observed, edges, usable)


def _float_edges(column: DatasetColumn, values: Array) -> tuple[Array, Array]:
    known = values[~np.isnan(values)]
    known = known if len(known) else np.zeros(1)
    if column.kind == "Boolean":
        edges = np.array([0.0, 1.0])
    else:
        low, high = known.min(), known.max()
        edges = np.array([low, high, low - (high - low), high + (high - low)])
        edges = np.round(edges) if column.kind == "Integer" else edges
    return known, np.append(edges, np.nan) if column.nullable else edges


def _integer_edges(_column: DatasetColumn, values: Array) -> tuple[Array, Array]:
    low, high = int(values.min()), int(values.max())
    limits = np.iinfo(np.int64)
    outside = [max(low - (high - low), limits.min), min(high + (high - low), limits.max)]
    return values, np.array([low, high, *outside], dtype=np.int64)


def _boolean_edges(_column: DatasetColumn, values: Array) -> tuple[Array, Array]:
    return values, np.array([False, True])


def _text_edges(column: DatasetColumn, values: Array) -> tuple[Array, Array]:
    texts = list(EDGE_TIMES) if column.kind == "Timestamp" else [UNSEEN_CATEGORY]
    known = values[values != ""]
    observed = known if len(known) else np.array(texts, dtype=object)
    return observed, np.array([*texts, ""] if column.nullable else texts, dtype=object)


_EDGES: dict[str, Callable[[DatasetColumn, Array], tuple[Array, Array]]] = {
    "FP64": _float_edges,
    "INT64": _integer_edges,
    "BOOL": _boolean_edges,
    "BYTES": _text_edges,
}
