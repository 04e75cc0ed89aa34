"""`profile.json`: what the data and the predictions look like, in bins, for whoever watches for drift later.

Two references: the training rows, and the newest rows of the version when it has a timestamp (against all training rows
an alarm would stay on after a good retrain). Features of validation and test rows enter the newest rows, their targets
do not. Predictions of training rows are out of fold: what a model says about rows it was fitted on differs from what it
says about any others.

A number is in bin `searchsorted(edges, value, side="right")`; a category in the bin of its place, and the last bin
is for all others. Missing, unseen and out-of-range values are counted beside the bins (out of range ones within, too).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mainspring_runtime.model.encoding import TIME_PARTS, Array, times
from mainspring_runtime.model.signature import Label
from mainspring_runtime.prepared import DatasetColumn, Rows

FORMAT = 1
FEATURE_BINS = 10
PREDICTION_BINS = 20
FEW_VALUES = 20
MAX_CATEGORIES = 50
NEWEST_ROWS = 5000

Counts = dict[str, list[int]]


@dataclass(frozen=True)
class Scored:
    """Rows of a split with the watched prediction [N] of each, None where there is none."""

    rows: Rows
    prediction: Array | None


@dataclass(frozen=True)
class Watched:
    """Which prediction is watched: the probability of the positive class, a predicted value, or a label.

    `labelled`: whether the targets of the rows are known, without which there is no calibration.
    """

    output: str
    positive: Label | None = None
    threshold: float | None = None
    classes: tuple[Label, ...] | None = None
    labelled: bool = True


def build(
    columns: Sequence[DatasetColumn],
    train: Scored,
    others: Sequence[Scored],
    watched: Watched | None,
    importances: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """The content of `profile.json`. Without predictions of training rows, those of the others take their place.

    `importances`: the greater, the sooner a column is shown where not all can be.
    """
    recent = newest([train, *others])
    newer = {} if recent is None else {"newest": recent}
    rows = {name: scored.rows for name, scored in ({"train": train} | newer).items()}
    held_out = train.prediction is None
    predicted = _selected(others, slice(None)) if held_out else train
    return {
        "format": FORMAT,
        "rows": {name: len(scored) for name, scored in rows.items()},
        "features": [
            _feature(column, {name: scored.columns[column.name] for name, scored in rows.items()})
            | ({"importance": importances[column.name]} if column.name in importances else {})
            for column in columns
        ],
        "prediction": _prediction({"train": predicted} | newer, watched, "HeldOut" if held_out else "OutOfFold"),
    }


def newest(parts: Sequence[Scored], count: int = NEWEST_ROWS) -> Scored | None:
    """The `count` newest rows of all parts; None without a timestamp."""
    if any(part.rows.timestamp is None for part in parts):
        return None
    at = np.concatenate([part.rows.timestamp for part in parts if part.rows.timestamp is not None])
    chosen = np.zeros(len(at), dtype=bool)
    # NaT sorts last and is no time at all, so it is left out first.
    known = np.flatnonzero(~np.isnat(at))
    chosen[known[np.argsort(at[known], kind="stable")[-count:]]] = True
    return _selected(parts, chosen)


def _selected(parts: Sequence[Scored], chosen: Array | slice) -> Scored:
    names = parts[0].rows.columns
    rows = Rows(
        {name: np.concatenate([part.rows.columns[name] for part in parts])[chosen] for name in names},
        np.concatenate([part.rows.target for part in parts])[chosen],
    )
    if any(part.prediction is None for part in parts):
        return Scored(rows, None)
    return Scored(rows, np.concatenate([part.prediction for part in parts if part.prediction is not None])[chosen])


def _feature(column: DatasetColumn, references: Mapping[str, Array]) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": column.name, "kind": column.kind}
    match column.kind:
        case "Category":
            return facts | _categories(references)
        case "String":
            return facts | {
                "missing": {name: int(np.count_nonzero(values == "")) for name, values in references.items()}
            }
        case "Timestamp":
            days = {name: TIME_PARTS["days"](times(values)) for name, values in references.items()}
            return facts | {"unit": "days since 1970"} | _numbers(days, feature_edges(days["train"]))
        case _:
            floats = {name: values.astype(np.float64) for name, values in references.items()}
            return facts | _numbers(floats, feature_edges(floats["train"]))


def _numbers(references: Mapping[str, Array], edges: Array) -> dict[str, Any]:
    known = {name: values[~np.isnan(values)] for name, values in references.items()}
    low, high = _range(known["train"])
    return {
        "edges": edges.tolist(),
        "minimum": low,
        "maximum": high,
        "counts": {name: _binned(values, edges) for name, values in known.items()},
        "missing": {name: int(np.isnan(values).sum()) for name, values in references.items()},
        "outOfRange": {name: _outside(values, low, high) for name, values in known.items()},
    }


def _range(known: Array) -> tuple[float | None, float | None]:
    return (float(known.min()), float(known.max())) if len(known) else (None, None)


def _outside(known: Array, low: float | None, high: float | None) -> int:
    return len(known) if low is None or high is None else int(np.count_nonzero((known < low) | (known > high)))


def _binned(values: Array, edges: Array) -> list[int]:
    bins = np.searchsorted(edges, values, side="right")
    counts: list[int] = np.bincount(bins, minlength=len(edges) + 1).tolist()
    return counts


def feature_edges(values: Array, bins: int = FEATURE_BINS) -> Array:
    """Inner edges: between all values when there are few, else quantiles, so that bins hold about equally many."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= FEW_VALUES:
        return np.asarray((distinct[1:] + distinct[:-1]) / 2)
    inner = np.quantile(known, np.arange(1, bins) / bins)
    return np.unique(inner[inner > distinct[0]])


def _categories(references: Mapping[str, Array]) -> dict[str, Any]:
    counted = {name: Counter(values.tolist()) for name, values in references.items()}
    seen = counted["train"]
    ranked = sorted((name for name in seen if name), key=lambda name: (-seen[name], name))
    shown = sorted(ranked[:MAX_CATEGORIES])
    return {
        "categories": shown,
        "counts": {name: _category_bins(counts, shown) for name, counts in counted.items()},
        "missing": {name: counts.get("", 0) for name, counts in counted.items()},
        "unseen": {
            name: sum(count for value, count in counts.items() if value not in seen and value)
            for name, counts in counted.items()
        },
    }


def _category_bins(counts: Counter[str], shown: Sequence[str]) -> list[int]:
    listed = [counts.get(name, 0) for name in shown]
    return [*listed, sum(counts.values()) - sum(listed) - counts.get("", 0)]


def _prediction(references: Mapping[str, Scored], watched: Watched | None, source: str) -> dict[str, Any] | None:
    predictions = {name: scored.prediction for name, scored in references.items() if scored.prediction is not None}
    if watched is None or "train" not in predictions:
        return None
    facts: dict[str, Any] = {
        "output": watched.output,
        "source": source,
        "rows": {name: len(values) for name, values in predictions.items()},
    }
    if watched.output == "predict" and watched.classes is not None:
        counts = {name: Counter(values.tolist()) for name, values in predictions.items()}
        return facts | {
            "classes": list(watched.classes),
            "counts": {name: [c.get(label, 0) for label in watched.classes] for name, c in counts.items()},
        }
    edges = prediction_edges(predictions["train"], watched.threshold)
    facts |= {"edges": edges.tolist(), "counts": {name: _binned(values, edges) for name, values in predictions.items()}}
    if watched.positive is None:
        return facts
    facts |= {"class": watched.positive, "threshold": watched.threshold}
    if not watched.labelled:
        return facts
    positives = references["train"].rows.target == watched.positive
    return facts | _calibration(predictions["train"], positives, edges)


def prediction_edges(values: Array, threshold: float | None) -> Array:
    """Quantile edges; the one nearest to the decision threshold is moved onto it."""
    edges = feature_edges(values, PREDICTION_BINS)
    if threshold is None:
        return edges
    kept = np.delete(edges, np.argmin(np.abs(edges - threshold))) if len(edges) >= PREDICTION_BINS - 1 else edges
    return np.unique(np.append(kept, threshold))


def _calibration(probabilities: Array, positives: Array, edges: Array) -> dict[str, Any]:
    """Per bin: the sum of predicted probabilities and the number of positives, from which all else follows."""
    bins = np.searchsorted(edges, probabilities, side="right")
    size = len(edges) + 1
    return {
        "calibration": {
            "predicted": np.bincount(bins, probabilities, minlength=size).tolist(),
            "positives": np.bincount(bins, positives, minlength=size).astype(np.int64).tolist(),
        }
    }
