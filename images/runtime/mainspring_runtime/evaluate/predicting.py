"""What a model says about held-out rows, in the form that metrics take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate.metrics import Array, Predictions
from mainspring_runtime.model.encoding import Columns
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.signature import Label
from mainspring_runtime.prepared import Rows


def outputs(predictor: Predictor, columns: Columns) -> dict[str, Array]:
    """All outputs for the rows. Raises `PermanentError("PredictionFailed")` when the model refuses them."""
    try:
        return predictor.predict(columns, predictor.signature.output_names)
    except ValueError as error:
        name = predictor.document.estimator or predictor.document.file
        raise PermanentError(
            "PredictionFailed", f"{name} was trained but cannot predict other rows: {error}"
        ) from error


def arrange(
    predictor: Predictor,
    rows: Rows,
    found: Columns,
    classes: Sequence[Label] | None = None,
    positive: Label | None = None,
) -> Predictions:
    """Outputs as metrics take them. `classes` and `positive` (default: the model's own) can be given so that two models
    are looked at alike.

    Raises `PermanentError("UnknownClass")` for a row whose class is not among them.
    """
    document = predictor.document
    scores = document.scores
    if document.classes is None:
        return Predictions(rows.target.astype(np.float64), found["predict"])
    order = document.classes if classes is None else tuple(classes)
    raw = None if scores is None else _aligned(_by_class(found[scores]), document.classes, order, scores)
    return Predictions(
        target=_indexes(rows.target, order),
        predicted=_indexes(found["predict"], order),
        classes=len(order),
        positive=_positive(predictor, order, positive),
        probabilities=raw if scores == "predict_proba" else None,
        scores=raw,
    )


def _by_class(scores: Array) -> Array:
    """Two classes may have one decision value a row, which speaks for the second."""
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def _aligned(scores: Array, own: Sequence[Label], order: Sequence[Label], name: str) -> Array:
    """Columns in the common order; a class that the model does not know has probability 0, or the worst score."""
    if tuple(own) == tuple(order):
        return scores
    absent = 0.0 if name == "predict_proba" else float(scores.min())
    aligned = np.full((len(scores), len(order)), absent)
    aligned[:, [order.index(label) for label in own]] = scores
    return aligned


def _positive(predictor: Predictor, order: Sequence[Label], given: Label | None) -> int | None:
    document = predictor.document
    if len(order) != 2 or document.classes is None:
        return None
    return order.index(document.classes[document.positive_index] if given is None else given)


def _indexes(labels: Array, order: Sequence[Label]) -> Array:
    places = {label: index for index, label in enumerate(order)}
    if unknown := sorted({str(label) for label in labels.tolist() if label not in places}):
        message = f"held-out rows have the class {unknown[0]!r}, which no training row has; gather more rows or merge rare classes in spec.prepare"
        raise PermanentError("UnknownClass", message, unknown)
    return np.array([places[label] for label in labels.tolist()], dtype=np.int64)
