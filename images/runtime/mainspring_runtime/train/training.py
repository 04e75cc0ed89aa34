"""From rows and a specification to a fitted model with all that is decided about it. Never sees a test row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mainspring.api.v1alpha1.dataset import Task
from mainspring.api.v1alpha1.trainingrun import Estimator, Preprocessing, Threshold
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import labels
from mainspring_runtime.model.arranging import arrange
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.encoding import Encoding
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.signature import Column, Label, Output, Signature
from mainspring_runtime.model.sklearn_model import wrap
from mainspring_runtime.prepared import Array, DatasetColumn, PreparedDataset, Rows
from mainspring_runtime.train import auto, estimators, fitting
from mainspring_runtime.train.fitting import OutOfFold, TrainingData

Step = Callable[[int, str], None]  # percent of the training, and what is being done


@dataclass(frozen=True)
class Trained:
    """A fitted pipeline. `reference` is None when the classes are too small for out-of-fold predictions."""

    pipeline: Any
    document: ModelDocument
    signature: Signature
    reference: OutOfFold | None
    notes: tuple[str, ...]

    @property
    def predictor(self) -> Predictor:
        return Predictor(self.signature, self.document, "sklearn", wrap(self.pipeline, self.document, self.signature))


def train(
    dataset: PreparedDataset, rows: Rows, validation: Rows | None, spec: Estimator, seed: int, step: Step
) -> Trained:
    """Fit the estimator on `rows`. Raises `PermanentError` naming the field or column that must change."""
    _require_rows(dataset, rows)
    estimator = estimators.build(spec.class_, spec.params or {}, Task(dataset.task), seed)
    if dataset.weight is not None:
        fitting.require_weights(estimator, dataset.weight)
    plan = _prepare(dataset, rows, spec, estimator)
    document, signature = _describe(dataset, rows, plan, spec)
    pipeline = fitting.assemble(plan.transformer, estimator, spec.calibrate, seed)
    target = rows.target
    if document.classes is not None and estimators.counts_classes(estimator):
        target = np.searchsorted(labels.as_array(document.classes), rows.target)  # classes are sorted
    data = TrainingData(arrange(rows.columns, document, signature), target, rows.weight)
    step(0, f"Fitting {type(estimator).__name__} on {len(rows)} rows")
    warnings = fitting.fit(pipeline, data)
    document = replace(document, scores=fitting.scores_of(pipeline) if dataset.is_classification else None)
    reference = fitting.out_of_fold(
        pipeline, data, document.scores, seed, lambda fold: step(50 + fold * 10, f"Cross-validating, fold {fold}")
    )
    trained = Trained(pipeline, document, _with_outputs(signature, document), reference, (*plan.notes, *warnings))
    return _with_threshold(trained, rows, validation, spec)


def class_labels(target: Array) -> tuple[Label, ...]:
    """The classes in the order of per-class outputs."""
    return tuple(sorted(set(target.tolist())))


def positive_class(dataset: PreparedDataset, classes: tuple[Label, ...]) -> Label | None:
    """The positive one of two classes: as the Dataset says, else the greater. None for more classes."""
    if dataset.positive is None:
        return classes[-1] if len(classes) == 2 else None
    positive = dataset.label(dataset.positive)
    if positive not in classes:
        shown = ", ".join(map(str, classes))
        raise PermanentError(
            "InvalidTarget",
            f"positive: {dataset.positive!r} does not occur in the training rows; the classes are {shown}",
        )
    return positive if len(classes) == 2 else None


def describe_inputs(columns: tuple[DatasetColumn, ...], rows: Rows) -> tuple[Column, ...]:
    """Inputs of the signature; the categories are those of the training rows."""
    return tuple(
        Column(
            column.name,
            column.datatype,
            column.nullable,
            column.kind,
            _known_categories(column, rows.columns[column.name]),
        )
        for column in columns
    )


def describe_outputs(document: ModelDocument) -> tuple[Output, ...]:
    """`predict`, and class scores where there are any."""
    classes = document.classes
    if classes is None:
        return (Output("predict", "FP64", (-1,)),)
    label = Output("predict", "INT64" if labels.as_array(classes).dtype == np.int64 else "BYTES", (-1,))
    if document.scores is None:
        return (label,)
    one_value = document.scores == "decision_function" and len(classes) == 2
    return label, Output(document.scores, "FP64", (-1,) if one_value else (-1, len(classes)))


def _require_rows(dataset: PreparedDataset, rows: Rows) -> None:
    if len(rows) == 0:
        raise PermanentError(
            "NoRows",
            "there is no training row with a target; check spec.source, spec.prepare and spec.split of the Dataset",
        )
    if dataset.is_classification and len(class_labels(rows.target)) < 2:
        message = f"all training rows have the same {dataset.target.name!r} ({rows.target[0]}); a classifier needs at least two classes"
        raise PermanentError("InvalidTarget", message)


def _prepare(dataset: PreparedDataset, rows: Rows, spec: Estimator, estimator: Any) -> auto.Compiled | PlainPlan:
    if not dataset.features:
        raise PermanentError("NoFeatures", "the Dataset has no feature; check spec.features")
    if spec.preprocessing is Preprocessing.AUTO:
        style = auto.Style(estimators.is_tree(estimator), estimators.handles_missing(estimator))
        return auto.compile_columns(dataset.features, rows, style)
    return PlainPlan(None if estimators.takes_frame(estimator) else auto.numbers_only(dataset.features))


@dataclass(frozen=True)
class PlainPlan:
    """`preprocessing: None`. Without an encoding the estimator takes a data frame."""

    encoding: Encoding | None
    transformer: Any | None = None
    notes: tuple[str, ...] = ()


def _describe(
    dataset: PreparedDataset, rows: Rows, plan: auto.Compiled | PlainPlan, spec: Estimator
) -> tuple[ModelDocument, Signature]:
    """Both as far as they are known before fitting."""
    classes = class_labels(rows.target) if dataset.is_classification else None
    if spec.calibrate and classes is None:
        raise estimators.invalid_parameters("spec.estimator.calibrate: only a classifier can be calibrated; remove it")
    document = ModelDocument(
        format="skops",
        task=dataset.task,
        inputs="Encoded" if plan.encoding is not None else "Frame",
        estimator=spec.class_,
        classes=classes,
        positive=None if classes is None else positive_class(dataset, classes),
        features=tuple(column.name for column in dataset.features),
        encoding=plan.encoding,
    )
    inputs = describe_inputs(dataset.features, rows)
    return document, Signature(inputs, (), classes=classes, task=dataset.task, key=dataset.key)


def _with_outputs(signature: Signature, document: ModelDocument) -> Signature:
    return replace(signature, outputs=describe_outputs(document))


def _known_categories(column: DatasetColumn, values: Array) -> tuple[str, ...] | None:
    return tuple(sorted(set(values.tolist()) - {""})) if column.kind == "Category" else None


def _with_threshold(trained: Trained, rows: Rows, validation: Rows | None, spec: Estimator) -> Trained:
    """Decide where a probability becomes a label: on validation rows, or else on out-of-fold predictions."""
    document = trained.document
    two_classes = document.positive is not None and document.scores == "predict_proba"
    if spec.threshold is Threshold.DEFAULT:
        return replace(trained, document=replace(document, threshold=labels.DEFAULT_THRESHOLD if two_classes else None))
    if not two_classes:
        raise estimators.invalid_parameters(
            "spec.estimator.threshold: Tuned needs two classes and an estimator that gives probabilities; use 0.5"
        )
    scored = _scored(trained, rows, validation)
    if scored is None:
        raise estimators.invalid_parameters(
            "spec.estimator.threshold: Tuned needs validation rows, or at least two training rows of each class"
        )
    probability, target, source = scored
    threshold = fitting.tuned_threshold(probability, target == document.positive)
    note = f"the threshold {threshold:.4g} gives the highest f1 on {source}"
    return replace(trained, document=replace(document, threshold=threshold), notes=(*trained.notes, note))


def _scored(trained: Trained, rows: Rows, validation: Rows | None) -> tuple[Array, Array, str] | None:
    """Probabilities of the positive class for rows that the model was not fitted on."""
    index = trained.document.positive_index
    if validation is not None and len(validation):
        found = predicting.outputs(trained.predictor, validation.columns)["predict_proba"]
        return found[:, index], validation.target, "the validation rows"
    if trained.reference is None or trained.reference.scores is None:
        return None
    return trained.reference.scores[:, index], rows.target, "out-of-fold predictions of the training rows"
