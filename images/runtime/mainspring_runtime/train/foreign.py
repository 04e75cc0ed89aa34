"""A model that a user's container wrote: which file it is, whether it can be run here, and what it takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

from mainspring.api.v1alpha1.model import ModelSpec
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import document as documents
from mainspring_runtime.model import labels, signature
from mainspring_runtime.model.document import ModelDocument, OnnxFacts
from mainspring_runtime.model.onnx_model import ERRORS, OnnxModel, open_session
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.signature import Label, Output, Signature
from mainspring_runtime.model.sklearn_model import SklearnModel, load_estimator
from mainspring_runtime.prepared import PreparedDataset, Rows
from mainspring_runtime.train import canonical, fitting, synthetic, training, version

PICKLES = ("model.joblib", "model.pkl", "model.pickle")
PROBED_ROWS = 50
FLOATS = ("tensor(float)", "tensor(double)")


@dataclass(frozen=True)
class Recognised:
    """`predictor` is None for a format that cannot be run here."""

    document: ModelDocument
    signature: Signature
    predictor: Predictor | None
    notes: tuple[str, ...] = ()


def recognise(directory: Path, dataset: PreparedDataset, rows: Rows, spec: ModelSpec, threads: int) -> Recognised:
    """Find the model file and load it. Raises `PermanentError`: NoModelFile, ReservedFile, PickleNotAllowed, UntrustedTypes…"""
    files = _files(directory)
    if documents.SKOPS_FILE in files:
        found = _from_estimator(directory, _blank(dataset, rows, "skops", documents.SKOPS_FILE), dataset, rows, spec)
        canonical.rewrite_skops(directory / documents.SKOPS_FILE)
        return found
    if documents.ONNX_FILE in files:
        return _from_onnx(directory, _blank(dataset, rows, "onnx", None), dataset, rows, threads)
    if pickles := [name for name in PICKLES if name in files]:
        return _from_estimator(directory, _blank(dataset, rows, "joblib", pickles[0]), dataset, rows, spec)
    return _custom(directory, dataset, rows, ())


def takes_missing(predictor: Predictor, dataset: PreparedDataset, rows: Rows) -> bool:
    """Whether the model answers rows with a missing value in every nullable column."""
    features = {column.name for column in predictor.signature.inputs}
    columns = synthetic.draw([column for column in dataset.features if column.name in features], rows, PROBED_ROWS, 0)
    try:
        predictor.predict(columns, predictor.signature.output_names)
    except (ValueError, TypeError, *ERRORS):
        return False
    return True


def _files(directory: Path) -> set[str]:
    _require_no_links(directory)
    found = version.file_names(directory)
    if documents.FILE in found:
        raise PermanentError(
            "ReservedFile",
            f"{documents.FILE} is written by the platform; save the model under another name, such as model.ubj",
        )
    if not found - version.RECORDS:
        wrote = f"only {', '.join(sorted(found))}" if found else "nothing"
        message = f"the container wrote {wrote} to $MAINSPRING_OUTPUT; it must write a model, e.g. {documents.SKOPS_FILE} or {documents.ONNX_FILE}"
        raise PermanentError("NoModelFile", message)
    return found


def _require_no_links(directory: Path) -> None:
    """This container can read more than the user's, so nothing of the user's is followed."""
    if links := [path.name for path in (directory, *directory.rglob("*")) if path.is_symlink()]:
        message = f"{links[0]} is a link; write a copy instead"
        raise PermanentError("InvalidArtifact", message, links)


def _blank(dataset: PreparedDataset, rows: Rows, format_: str, file: str | None) -> ModelDocument:
    classes = training.class_labels(rows.target) if dataset.is_classification else None
    return ModelDocument(
        format=format_,
        task=dataset.task,
        file=file,
        classes=classes,
        positive=None if classes is None else training.positive_class(dataset, classes),
        features=tuple(column.name for column in dataset.features),
    )


def _from_estimator(
    directory: Path, document: ModelDocument, dataset: PreparedDataset, rows: Rows, spec: ModelSpec
) -> Recognised:
    model = load_estimator(directory, document, spec.trusted_types or (), spec.allow_pickle)
    _require_task(model, dataset)
    names = getattr(model, "feature_names_in_", None)
    features = _features(
        dataset, None if names is None else [str(name) for name in names], getattr(model, "n_features_in_", None)
    )
    document = replace(
        document,
        inputs="Matrix" if names is None else "Frame",
        estimator=f"{type(model).__module__}.{type(model).__qualname__}",
        features=tuple(column.name for column in features.features),
    )
    if dataset.is_classification:
        document = _with_classes(
            replace(document, scores=fitting.scores_of(model)),
            tuple(_label(value) for value in model.classes_),
            dataset,
        )
    described = _signature(document, features, rows)
    predictor = Predictor(described, document, "sklearn", SklearnModel(model, document, described))
    _probe(predictor, rows)
    return Recognised(document, described, predictor, ("answers by scikit-learn, as the container wrote it",))


def _require_task(model: Any, dataset: PreparedDataset) -> None:
    fits = is_classifier(model) if dataset.is_classification else is_regressor(model)
    if not fits:
        wanted = "classifier" if dataset.is_classification else "regressor"
        raise PermanentError(
            "WrongTask",
            f"the container wrote a {type(model).__name__}, which is not the {wanted} that the Dataset's task {dataset.task} needs: "
            f"it could not be measured by the target. To serve it all the same, make a version with `{documents.PACKAGE_COMMAND}`",
        )


def _features(dataset: PreparedDataset, names: Sequence[str] | None, count: int | None) -> PreparedDataset:
    """The dataset with just the features that the model takes, in its order."""
    known = {column.name: column for column in dataset.features}
    if names is None:
        if count is not None and count != len(known):
            message = f"the model takes {count} features without names, the Dataset has {len(known)}; train it on all of them in the order of run.json, or on a data frame"
            raise PermanentError("FeatureMismatch", message)
        return dataset
    if unknown := [name for name in names if name not in known]:
        message = f"the model was trained on {', '.join(map(repr, unknown[:5]))}, which the Dataset does not list as features; use those in run.json"
        raise PermanentError("FeatureMismatch", message, unknown)
    return replace(dataset, features=tuple(known[name] for name in names))


def _label(value: Any) -> Label:
    """A class in the type that the dataset has: booleans and whole numbers are int."""
    return str(value) if isinstance(value, str) else int(value)


def _with_classes(document: ModelDocument, classes: tuple[Label, ...], dataset: PreparedDataset) -> ModelDocument:
    if set(classes) != set(document.classes or ()):
        shown, wanted = ", ".join(map(str, classes)), ", ".join(map(str, document.classes or ()))
        raise PermanentError("ClassMismatch", f"the model has the classes {shown}; the training rows have {wanted}")
    probabilities = len(classes) == 2 and document.scores == "predict_proba"
    return replace(
        document,
        classes=classes,
        positive=training.positive_class(dataset, tuple(sorted(classes))),
        threshold=labels.DEFAULT_THRESHOLD if probabilities else None,
    )


def _signature(document: ModelDocument, dataset: PreparedDataset, rows: Rows) -> Signature:
    inputs, outputs = training.describe_inputs(dataset.features, rows), training.describe_outputs(document)
    return Signature(inputs, outputs, classes=document.classes, task=document.task, key=dataset.key)


def _probe(predictor: Predictor, rows: Rows) -> None:
    """Raise `PermanentError("PredictionFailed")` unless the model answers some of the training rows."""
    some = rows.take(np.arange(min(PROBED_ROWS, len(rows))))
    try:
        found = predictor.predict(some.columns, predictor.signature.output_names)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, *ERRORS) as error:
        raise PermanentError(
            "PredictionFailed", f"the model cannot predict the training rows: {type(error).__name__}: {error}"
        ) from error
    for output in predictor.signature.outputs:
        wanted = (len(some), *output.shape[1:])
        if found[output.name].shape != wanted:
            message = f"{output.name} has shape {list(found[output.name].shape)} for {len(some)} rows; expected {list(wanted)}"
            raise PermanentError("PredictionFailed", message)


def _from_onnx(
    directory: Path, document: ModelDocument, dataset: PreparedDataset, rows: Rows, threads: int
) -> Recognised:
    """A graph whose inputs and outputs are understood; any other is custom."""
    try:
        session = open_session(directory / documents.ONNX_FILE, threads)
    except ERRORS as error:
        raise PermanentError("InvalidModel", f"{documents.ONNX_FILE} cannot be loaded: {error}") from error
    inputs = _onnx_inputs(session, dataset)
    tensor, scores = _onnx_output(session, document)
    if inputs is None or tensor is None:
        takes = ", ".join(
            f"{item.name} {item.type} {item.shape}" for item in (*session.get_inputs(), *session.get_outputs())
        )
        return _custom(directory, dataset, rows, (f"{documents.ONNX_FILE} is not understood ({takes})",))
    document = replace(document, inputs=inputs, tensor=tensor, scores=scores, onnx=OnnxFacts(True, ""))
    if document.classes is not None and scores is not None:
        document = _with_classes(document, document.classes, dataset)
    described = _signature(document, dataset, rows)
    predictor = Predictor(described, document, "onnx", OnnxModel(directory, document, threads))
    _probe(predictor, rows)
    return Recognised(document, described, predictor, ("answers by ONNX Runtime, as the container wrote it",))


def _onnx_inputs(session: Any, dataset: PreparedDataset) -> documents.Inputs | None:
    """One float tensor [N, features], or one tensor [N, 1] for each feature by name."""
    items = session.get_inputs()
    names = {column.name for column in dataset.features}
    if {item.name for item in items} == names and all(len(item.shape) == 2 for item in items):
        return "Columns"
    numeric = all(column.datatype != "BYTES" for column in dataset.features)
    alone = len(items) == 1 and items[0].type in FLOATS and len(items[0].shape) == 2
    return "Tensor" if numeric and alone and items[0].shape[1] in (len(names), None) else None


def _onnx_output(session: Any, document: ModelDocument) -> tuple[str | None, str | None]:
    """The output to use and, for classes, whether it holds probabilities."""
    outputs = session.get_outputs()
    tables = [item.name for item in outputs if item.type in FLOATS]
    if document.classes is None:
        return (tables[0], None) if tables else (None, None)
    if tables:
        return tables[0], "predict_proba"
    named = [item.name for item in outputs if item.type in ("tensor(int64)", "tensor(string)")]
    return (named[0], None) if named else (None, None)


def _custom(directory: Path, dataset: PreparedDataset, rows: Rows, notes: tuple[str, ...]) -> Recognised:
    """Published as it is; the signature is the container's own, or else what the dataset suggests."""
    document = replace(_blank(dataset, rows, "custom", None), onnx=OnnxFacts())
    if (directory / signature.FILE).is_file():
        described = signature.read_signature(directory)
    else:
        answer = (
            "FP64"
            if document.classes is None
            else "BYTES"
            if labels.as_array(document.classes).dtype == object
            else "INT64"
        )
        described = Signature(
            training.describe_inputs(dataset.features, rows),
            (Output("predict", answer, (-1,)),),
            classes=document.classes,
            task=dataset.task,
        )
    return Recognised(document, described, None, notes)
