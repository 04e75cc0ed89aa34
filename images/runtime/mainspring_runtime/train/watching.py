"""Which of a model's outputs is watched for drift: a probability, a value, or else the label."""

from __future__ import annotations

from typing import Any

from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import labels
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.sklearn_model import decide
from mainspring_runtime.prepared import PreparedDataset
from mainspring_runtime.train import importance, profile
from mainspring_runtime.train.profile import Scored, Watched
from mainspring_runtime.train.splits import Splits
from mainspring_runtime.train.training import Trained


def describe(trained: Trained, dataset: PreparedDataset, splits: Splits, tested: Columns) -> dict[str, Any]:
    """The content of `profile.json`; `tested` are the outputs for the test rows."""
    document = trained.document
    train = Scored(splits.train, out_of_fold(trained))
    others = [Scored(splits.test, of(document, tested))]
    if splits.validation is not None and len(splits.validation):
        found = predicting.outputs(trained.predictor, splits.validation.columns)
        others.append(Scored(splits.validation, of(document, found)))
    importances = _importances(trained.predictor, splits)
    return profile.build(dataset.features, train, others, watched(document), importances)


def describe_foreign(predictor: Predictor | None, dataset: PreparedDataset, splits: Splits) -> dict[str, Any]:
    """The same for a model that was trained elsewhere: predictions of held-out rows stand in for out-of-fold ones."""
    held = [rows for rows in (splits.test, splits.validation) if rows is not None and len(rows)]
    train = Scored(splits.train, None)
    if predictor is None:
        return profile.build(dataset.features, train, [Scored(rows, None) for rows in held], None)
    document = predictor.document
    others = [Scored(rows, of(document, predicting.outputs(predictor, rows.columns))) for rows in held]
    return profile.build(dataset.features, train, others, watched(document), _importances(predictor, splits))


def _importances(predictor: Predictor, splits: Splits) -> dict[str, float]:
    """Of the training rows: test rows are read once, by the evaluation."""
    return importance.by_column(
        lambda columns: of(predictor.document, predicting.outputs(predictor, columns)), splits.train.columns
    )


def watched(document: ModelDocument) -> Watched:
    """Two classes with probabilities: that of the positive one. Values: themselves. Anything else: the label."""
    if _has_probability(document):
        return Watched("predict_proba", document.positive, document.threshold, document.classes)
    return Watched("predict", classes=document.classes)


def of(document: ModelDocument, outputs: Columns) -> Array:
    """The watched prediction [N] among a predictor's outputs."""
    if _has_probability(document):
        return outputs["predict_proba"][:, document.positive_index]
    return outputs["predict"]


def out_of_fold(trained: Trained) -> Array | None:
    """The watched prediction [N] of the training rows, by models that were not fitted on them."""
    document, reference = trained.document, trained.reference
    if reference is None:
        return None
    if document.classes is None or reference.scores is None:
        return reference.values
    if _has_probability(document):
        return reference.scores[:, document.positive_index]
    chosen: Array = labels.as_array(document.classes)[decide(reference.scores, document)]
    return chosen


def _has_probability(document: ModelDocument) -> bool:
    return document.positive is not None and document.scores == "predict_proba"
