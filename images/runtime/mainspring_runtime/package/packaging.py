"""The directory of a packaged model: described, proved and complete, as a TrainingRun would have written it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mainspring_runtime import threads
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import document as documents
from mainspring_runtime.model import predictor as predictors
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.arranging import arrange
from mainspring_runtime.model.document import Inputs, ModelDocument, OnnxFacts
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.onnx_model import ERRORS, OnnxModel
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.sample import Sample
from mainspring_runtime.model.signature import CLASSIFICATION, Column, Label, Signature
from mainspring_runtime.model.sklearn_model import wrap
from mainspring_runtime.package import describing, examples, fastpath, graphs, sources, storing
from mainspring_runtime.package.describing import Described
from mainspring_runtime.package.examples import Examples
from mainspring_runtime.train import canonical, importance, mlmodel, profile, synthetic, version, watching
from mainspring_runtime.train.profile import Scored, Watched

DESCRIBED_ROWS = 200  # with which outputs are described
PROBED_ROWS = 100
PROFILE_ROWS = 100  # with fewer there is nothing to compare with
REFUSALS = (*describing.REFUSALS, *ERRORS)


@dataclass(frozen=True)
class Request:
    """What to package; see `command` for the fields."""

    model: Path
    example: Path
    exclude: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    classes: tuple[Label, ...] = ()
    outputs: tuple[str, ...] = ()
    trusted_types: tuple[str, ...] = ()
    allow_pickle: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """A complete directory."""

    directory: Path
    document: ModelDocument
    signature: Signature
    notes: tuple[str, ...]


def make(request: Request, work: Path, thread_count: int) -> Made:
    """Write the version below `work`. Raises `PermanentError` naming the file, the column or the method."""
    sources.require_file(request.model)
    directory = work / "version"
    directory.mkdir(parents=True)
    rows = examples.read(
        request.example, work, examples.Reading(request.exclude, request.targets, request.texts, request.nullable)
    )
    with threads.limited(thread_count):
        packed = (_pack_graph if request.model.suffix.lower() == sources.ONNX else _pack_estimator)(
            request, directory, rows, thread_count
        )
        return _complete(request, directory, packed, thread_count)


@dataclass(frozen=True)
class Packed:
    """The model file is in the directory; `predictor` answers by it, with all outputs."""

    predictor: Predictor
    rows: Examples
    edges: bool  # whether it answers values that the examples have not
    notes: tuple[str, ...]
    estimator: Any | None = None

    def draw(self, seed: int, count: int, boundaries: Mapping[str, Array] | None = None) -> Columns:
        """Synthetic rows."""
        return synthetic.draw(
            self.rows.columns, self.rows.rows, count, seed, boundaries if self.edges else None, edges=self.edges
        )


def _pack_estimator(request: Request, directory: Path, rows: Examples, _threads: int) -> Packed:
    model = sources.load(request.model, request.trusted_types, request.allow_pickle)
    rows, inputs = _arranged(model, rows)
    blank = storing.store(model, directory, request.model, inputs)
    blank = replace(blank, features=tuple(column.name for column in rows.columns))
    table = arrange(_head(rows, DESCRIBED_ROWS), blank, Signature(_columns(rows), ()))
    described = describing.describe(model, table, min(len(rows), DESCRIBED_ROWS), request.targets)
    document = describing.completed(blank, described, model, table)
    document, signature = _chosen(request, document, described, rows)
    return _probed(document, signature, rows, described.notes, lambda d, s: wrap(model, d, s), model)


def _pack_graph(request: Request, directory: Path, rows: Examples, thread_count: int) -> Packed:
    shutil.copyfile(request.model, directory / documents.ONNX_FILE)
    document, described = graphs.describe(directory, rows, request.classes, thread_count)
    document, signature = _chosen(request, graphs.completed(document, described), described, rows)
    return _probed(document, signature, rows, described.notes, lambda d, _: OnnxModel(directory, d, thread_count))


def _arranged(model: Any, rows: Examples) -> tuple[Examples, Inputs]:
    """The columns that the model takes, in its order, and the form in which it takes them."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        wanted = [str(name) for name in names]
        known = [column.name for column in rows.columns]
        if missing := [name for name in wanted if name not in known]:
            message = f"the model was trained on the column {missing[0]!r}, which the example has not; it has {', '.join(known[:20])}"
            raise PermanentError("FeatureMismatch", message, missing)
        return rows.only(wanted), "Frame"
    count = getattr(model, "n_features_in_", None)
    if count is None and len(rows.columns) == 1 and rows.columns[0].datatype == "BYTES":
        return rows, "Vector"
    if count is not None and count != len(rows.columns):
        message = f"the model takes {count} columns, the example has {len(rows.columns)}: {', '.join(column.name for column in rows.columns[:20])}; leave out what is no input with --exclude"
        raise PermanentError("FeatureMismatch", message)
    return rows, "Matrix"


def _chosen(
    request: Request, document: ModelDocument, described: Described, rows: Examples
) -> tuple[ModelDocument, Signature]:
    """Only the outputs that were asked for."""
    known = [output.name for output in described.outputs]
    if unknown := [name for name in request.outputs if name not in known]:
        raise PermanentError(
            "UnknownOutput", f"the model has no output {unknown[0]!r}; it has {', '.join(known)}", unknown
        )
    kept = request.outputs or tuple(known)
    outputs = tuple(output for output in described.outputs if output.name in kept)
    default = described.default if described.default in kept else outputs[0].name
    document = replace(
        document,
        methods=tuple(method for method in document.methods if method.output in kept),
        scores=document.scores if document.scores in kept else None,
        threshold=document.threshold if document.scores in kept else None,
    )
    return document, Signature(
        _columns(rows), outputs, default_outputs=(default,), classes=described.classes, task=described.task
    )


def _columns(rows: Examples) -> tuple[Column, ...]:
    return tuple(Column(item.name, item.datatype, item.nullable, item.kind, item.categories) for item in rows.columns)


def _head(rows: Examples, count: int) -> Columns:
    return {name: values[:count] for name, values in rows.rows.columns.items()}


def _probed(
    document: ModelDocument,
    signature: Signature,
    rows: Examples,
    notes: tuple[str, ...],
    model_of: Any,
    estimator: Any | None = None,
) -> Packed:
    """Whether it answers values that the examples have not."""
    route: predictors.Route = "onnx" if estimator is None else "sklearn"
    predictor = Predictor(signature, document, route, model_of(document, signature))
    edges = _answers(predictor, synthetic.draw(rows.columns, rows.rows, PROBED_ROWS, 0))
    if not edges:
        notes = (
            *notes,
            "it refuses some values that the example has not, such as unseen categories; such requests are answered with 400",
        )
    return Packed(predictor, rows, edges, notes, estimator)


def _answers(predictor: Predictor, columns: Columns) -> bool:
    try:
        predictor.predict(columns, predictor.signature.output_names)
    except REFUSALS:
        return False
    return True


def _complete(request: Request, directory: Path, packed: Packed, thread_count: int) -> Made:
    """Graph, sample, documents and record; then loaded as a server would load it."""
    document, signature = packed.predictor.document, packed.predictor.signature
    if packed.estimator is not None and packed.edges:
        draw = partial(packed.draw, request.seed)
        document = fastpath.admit(directory, packed.estimator, packed.predictor, draw, thread_count)
    elif packed.estimator is not None:
        document = replace(document, onnx=OnnxFacts(False, "a graph would answer values that the estimator refuses"))
    samples.write_sample(directory, signature, _sample(packed, request.seed))
    document = version.write_documents(directory, document, signature)
    _write_record(directory, packed, document, signature)
    predictors.load(
        directory, trusted_types=request.trusted_types, allow_pickle=request.allow_pickle, threads=thread_count
    )
    return Made(
        directory, document, signature, (*packed.notes, *_path_notes(directory, document, signature, thread_count))
    )


def _sample(packed: Packed, seed: int) -> Sample:
    columns = packed.draw(seed, version.SAMPLE_ROWS)
    return version.decided_sample(columns, predicting.outputs(packed.predictor, columns), packed.predictor.document)


def _path_notes(directory: Path, document: ModelDocument, signature: Signature, thread_count: int) -> list[str]:
    if not document.onnx.admitted:
        return [f"answers by scikit-learn: {document.onnx.reason}"]
    graph = OnnxModel(directory, document, thread_count).outputs
    slow = [name for name in signature.output_names if name not in graph]
    if not slow:
        return ["answers by ONNX Runtime"]
    fast = [name for name in signature.output_names if name in graph]
    options = " ".join(f"--output {name}" for name in fast)
    return [
        f"{', '.join(fast)} by ONNX Runtime; {', '.join(slow)} by scikit-learn, which a server then has to load as well; leave these out with {options}"
    ]


def _write_record(directory: Path, packed: Packed, document: ModelDocument, signature: Signature) -> None:
    types = canonical.types_in(directory, document)
    (directory / version.MLMODEL_FILE).write_text(mlmodel.render(document, signature, types), encoding="utf-8")
    (directory / version.LOCK_FILE).write_text(version.lock(), encoding="utf-8")
    if len(packed.rows) >= PROFILE_ROWS:
        text = json.dumps(_profile(packed), sort_keys=True, ensure_ascii=False) + "\n"
        (directory / version.PROFILE_FILE).write_text(text, encoding="utf-8")


def _profile(packed: Packed) -> dict[str, Any]:
    """Of the example rows. What they turned out to be is not known, so nothing is said about calibration."""
    predictor, rows = packed.predictor, packed.rows.rows
    watched = _watched(predictor)
    if watched is None:
        return profile.build(packed.rows.columns, Scored(rows, None), [Scored(rows, None)], None)
    answers = predicting.outputs(predictor, rows.columns)
    scored = Scored(rows, watching.of(predictor.document, answers))
    importances = importance.by_column(
        lambda columns: watching.of(predictor.document, predicting.outputs(predictor, columns)), rows.columns
    )
    return profile.build(packed.rows.columns, Scored(rows, None), [scored], watched, importances)


def _watched(predictor: Predictor) -> Watched | None:
    """A prediction that is one class or one value a row."""
    signature = predictor.signature
    if not signature.has_labels or "predict" not in signature.output_names:
        return None
    found = watching.watched(predictor.document)
    return replace(found, labelled=False) if signature.task == CLASSIFICATION else found
