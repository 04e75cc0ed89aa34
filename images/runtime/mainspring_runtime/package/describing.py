"""What a fitted estimator takes and answers, found by asking it.

Outputs are the methods that it has, tried on the example rows. One target gives `[N]` labels or values; several give
`[N, T]`, and where the estimator returns one array of probabilities for each target, one output each: `predict_proba_0`,
`predict_proba_1` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import labels, methods
from mainspring_runtime.model.document import Method, ModelDocument
from mainspring_runtime.model.encoding import Array
from mainspring_runtime.model.signature import (
    ANOMALY_DETECTION,
    CLASSIFICATION,
    CLUSTERING,
    DENSITY_ESTIMATION,
    PREDICT,
    REGRESSION,
    TRANSFORMATION,
    Label,
    Output,
)
from mainspring_runtime.train import fitting
from mainspring_runtime.train.estimators import BOOSTING_LIBRARIES, library

METHODS = (PREDICT, "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")
DEFAULTS = (PREDICT, "transform", "score_samples", "decision_function")  # the first that there is
# Their `predict` takes the class with the greatest probability, and computing both costs twice as much.
ARGMAX = (RandomForestClassifier, ExtraTreesClassifier, HistGradientBoostingClassifier, DecisionTreeClassifier)
# What estimators raise for input that does not suit them, or for a method that their parts lack.
REFUSALS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError)


@dataclass(frozen=True)
class Asked:
    """What a method gave: an array, or a list of one for each target."""

    arrays: list[Array]
    by_target: bool


@dataclass(frozen=True)
class Described:
    """`notes` are for people: what was left out."""

    task: str
    outputs: tuple[Output, ...]
    methods: tuple[Method, ...]
    default: str
    classes: tuple[Label, ...] | None = None
    notes: tuple[str, ...] = ()


def describe(model: Any, table: Any, rows: int, targets: Sequence[str] = ()) -> Described:
    """Ask for every output that there may be. `table`: what the estimator takes, of `rows` rows; `targets`: their names.

    Raises `PermanentError`: UnsupportedEstimator or PredictionFailed.
    """
    has = [name for name in METHODS if _has(model, name)]
    if not has:
        raise PermanentError("UnsupportedEstimator", _no_methods(model))
    task = task_of(model)
    asked, notes = _ask(model, has, table, rows)
    several = PREDICT in asked and asked[PREDICT].arrays[0].ndim == 2
    classes = _classes(model) if task == CLASSIFICATION and not several else None
    found = [
        pair for name, given in asked.items() for pair in _described(model, name, given, targets if several else ())
    ]
    found = [(_judged(output, task, classes), method) for output, method in found]
    default = next(name for name in (*DEFAULTS, *asked) if name in asked)
    return Described(
        task,
        tuple(output for output, _ in found),
        tuple(method for _, method in found),
        default,
        classes,
        tuple(notes),
    )


def _ask(model: Any, has: Sequence[str], table: Any, rows: int) -> tuple[dict[str, Asked], list[str]]:
    """What each method gives, as one array or one for each target; and which methods are left out, and why."""
    asked: dict[str, Asked] = {}
    notes = []
    for name in has:
        try:
            given = methods.call(model, name, table)
            by_target = isinstance(given, list) and bool(given) and isinstance(given[0], np.ndarray)
            arrays = [methods.dense(part) for part in (given if by_target else [given])]
            _require_rows(name, arrays, rows)
            asked[name] = Asked(arrays, by_target)
        except REFUSALS as error:
            said = f"{type(error).__name__}: {str(error)[:300]}"
            if name == PREDICT:
                message = f"{type(model).__name__} cannot predict the example rows: {said}"
                raise PermanentError("PredictionFailed", message) from error
            notes.append(f"{name} is left out, since it fails: {said}")
    if not asked:
        raise PermanentError("PredictionFailed", "; ".join(notes))
    return asked, notes


def task_of(model: Any) -> str:
    """By the kind that the estimator says it is; a Pipeline says that of its last step."""
    for kind, task in _KINDS:
        if _is(kind, model):
            return task
    if _has(model, PREDICT):
        # Mixture models are density estimators with components to predict; anything else is told by its answers.
        return CLASSIFICATION if _has(model, "classes_") else CLUSTERING if _has(model, "score_samples") else REGRESSION
    return TRANSFORMATION if _has(model, "transform") else DENSITY_ESTIMATION


def completed(document: ModelDocument, described: Described, model: Any, table: Any) -> ModelDocument:
    """The document with what is known of the model's answers."""
    classes, known = described.classes, {output.name for output in described.outputs}
    scores = fitting.scores_of(model) if classes is not None else None
    scores = scores if scores in known else None
    two = classes is not None and len(classes) == 2
    return ModelDocument(
        format=document.format,
        task=described.task,
        inputs=document.inputs,
        file=document.file,
        estimator=f"{type(model).__module__}.{type(model).__qualname__}",
        classes=classes,
        positive=classes[-1] if classes is not None and two else None,
        threshold=labels.DEFAULT_THRESHOLD if two and scores == "predict_proba" else None,
        features=document.features,
        scores=scores,
        methods=described.methods,
        argmax=scores == "predict_proba" and _is_argmax(model, table),
    )


def label(value: Any) -> Label:
    """A class as it is answered: booleans and whole numbers are int."""
    return int(value) if not isinstance(value, str) and float(value).is_integer() else str(value)


def _has(model: Any, name: str) -> bool:
    """Some estimators offer a method and say only when it is looked up that their parts lack it."""
    try:
        return hasattr(model, name)
    except REFUSALS:
        return False


def _is(kind: Any, model: Any) -> bool:
    """Estimators that do not come from scikit-learn may have no tags."""
    try:
        return bool(kind(model))
    except (AttributeError, TypeError):
        return False


def _no_methods(model: Any) -> str:
    name = type(model).__name__
    if hasattr(model, "novelty"):
        return f"{name} answers new rows only when it was fitted with novelty=True"
    if _has(model, "fit_predict"):
        return f"{name} labels only the rows that it was fitted on, so there is nothing to ask a server"
    return f"{name} has none of {', '.join(METHODS)}; a model must be a fitted, scikit-learn compatible estimator"


def _described(model: Any, name: str, given: Asked, targets: Sequence[str]) -> Iterator[tuple[Output, Method]]:
    """One output, or one for each target."""
    for part, array in enumerate(given.arrays):
        shape = (-1, *array.shape[1:])
        if given.by_target:
            classes = tuple(label(value) for value in np.asarray(model.classes_[part]).tolist())
            yield Output(f"{name}_{part}", datatype_of(array), shape, classes), Method(f"{name}_{part}", name, part)
        else:
            yield (
                Output(name, datatype_of(array), shape, None, _columns(model, name, array, targets)),
                Method(name, name),
            )


def _judged(output: Output, task: str, classes: tuple[Label, ...] | None) -> Output:
    """A value is FP64, and a label has the datatype of the classes, whatever type the estimator chose."""
    if output.name != PREDICT or (task != REGRESSION and classes is None):
        return output
    if classes is None:
        return replace(output, datatype="FP64")
    return replace(output, datatype="INT64" if labels.as_array(classes).dtype == np.int64 else "BYTES")


def _require_rows(name: str, arrays: Sequence[Array], rows: int) -> None:
    for array in arrays:
        if array.ndim not in (1, 2) or len(array) != rows:
            raise ValueError(f"{name} has shape {list(array.shape)} for {rows} rows; expected [{rows}] or [{rows}, K]")


def datatype_of(array: Array) -> str:
    """The datatype on the wire. Labels of several targets come as objects, and may be numbers all the same."""
    if array.dtype.kind == "O":
        kinds = {type(value) for value in array.ravel().tolist()}
        if kinds and kinds <= {int, bool}:
            return "INT64"
        return "FP64" if kinds and kinds <= {int, bool, float} else "BYTES"
    return {"f": "FP64", "i": "INT64", "u": "INT64", "b": "INT64"}.get(array.dtype.kind, "BYTES")


def _columns(model: Any, name: str, array: Array, targets: Sequence[str]) -> tuple[str, ...] | None:
    """What the last dimension lists: features of a transformer, or targets. Classes of one target are in the signature."""
    if array.ndim == 1:
        return None
    if name == "transform":
        return _feature_names(model, array.shape[1])
    return tuple(targets) if targets and len(targets) == array.shape[1] else None


def _feature_names(model: Any, width: int) -> tuple[str, ...] | None:
    try:
        names = tuple(str(name) for name in model.get_feature_names_out())
    except REFUSALS:
        return None
    return names if len(names) == width else None


def _classes(model: Any) -> tuple[Label, ...] | None:
    """The classes of a single target, in the order of per-class outputs."""
    classes = getattr(model, "classes_", None)
    return None if classes is None else tuple(label(value) for value in np.asarray(classes).tolist())


def _is_argmax(model: Any, table: Any) -> bool:
    """Whether `predict` may be told from the probabilities: reviewed kinds of estimators, and tried."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if not isinstance(last, ARGMAX) and library(last) not in BOOSTING_LIBRARIES:
        return False
    chosen = np.asarray(model.classes_)[np.argmax(methods.dense(model.predict_proba(table)), axis=1)]
    return bool(np.array_equal(chosen, methods.dense(model.predict(table))))


_KINDS = (
    (is_classifier, CLASSIFICATION),
    (is_regressor, REGRESSION),
    (is_outlier_detector, ANOMALY_DETECTION),
    (is_clusterer, CLUSTERING),
)
