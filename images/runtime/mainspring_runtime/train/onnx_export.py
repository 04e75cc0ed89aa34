"""`model.onnx`: the pipeline as one graph, from the columns as they come to the label.

    numeric ──┬────────────────────────────┐
              └─ IsNaN of some columns ────┤                          ┌─► predict_proba | decision_function
    category ─── LabelEncoder per column ──┴─ Concat ─ (skl2onnx) ────┤
                                                                      └─ threshold or ArgMax ─► predict

The middle is what skl2onnx makes of the fitted pipeline; head and tail say in ONNX what `model.encoding` and
`model.labels` do in NumPy. Names are fixed, so equal models give equal bytes.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from mainspring_runtime.model import labels
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.encoding import Array, CategorySource, Encoding
from mainspring_runtime.model.onnx_model import CATEGORY, NUMERIC
from mainspring_runtime.model.signature import Signature
from mainspring_runtime.train import boosting
from mainspring_runtime.train.estimators import HISTOGRAM_BOOSTING

GRAPH_NAME = "mainspring"
FEATURES = "features"
PUBLIC_NAMES = frozenset({FEATURES, "predict", "predict_proba", "decision_function"})
PREFIX = "mainspring_"
ML_DOMAIN = "ai.onnx.ml"
ML_VERSION = 3  # strings to floats in LabelEncoder
REDUCE_MAX, REDUCE_MAX_VERSION = "ReduceMax", 18  # takes its axes as an input since then
# skl2onnx has no common base for "cannot convert this".
CONVERSION_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NameError,
    ArithmeticError,
    AssertionError,
)
TREE_OPERATORS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")


class NotConvertible(Exception):
    """Why there is no graph for this pipeline."""


def export(pipeline: Any, document: ModelDocument) -> Any:
    """The pipeline as an `onnx.ModelProto` with the inputs and outputs of the signature. Raises `NotConvertible`."""
    if document.encoding is None:
        raise NotConvertible("the estimator takes a data frame")
    if document.classes is not None and document.scores is None:
        raise NotConvertible("the estimator gives no class scores")
    types = [(FEATURES, FloatTensorType([None, document.encoding.width]))]
    return _assemble(pipeline, document, types, _head(document.encoding))


def export_columns(pipeline: Any, document: ModelDocument, signature: Signature) -> Any:
    """The same for a pipeline that selects columns by name: the graph takes a tensor [N, 1] for each. Raises `NotConvertible`."""
    if document.classes is not None and document.scores is None:
        raise NotConvertible("the estimator gives no class scores")
    if clash := [column.name for column in signature.inputs if column.name in PUBLIC_NAMES]:
        raise NotConvertible(f"the column {clash[0]!r} is called like an output")
    types = [
        (column.name, (StringTensorType if column.datatype == "BYTES" else FloatTensorType)([None, 1]))
        for column in signature.inputs
    ]
    return _assemble(pipeline, document, types, None)


def _assemble(pipeline: Any, document: ModelDocument, types: Sequence[tuple[str, Any]], head: Part | None) -> Any:
    model = _convert(_with_float32_thresholds(pipeline), document, types)
    graph = model.graph
    raw = [output.name for output in graph.output]
    if head is None:  # the inputs stay as they are converted
        head = Part()
        head.inputs = list(graph.input)
    tail = _value_tail(raw[0]) if document.classes is None else _class_tail(raw[1], document)
    body = list(graph.node)
    _replace(graph.node, _needed([*head.nodes, *body, *tail.nodes], tail.names))
    _replace(graph.input, head.inputs)
    _replace(graph.output, tail.outputs)
    used = {name for node in graph.node for name in node.input}
    _replace(
        graph.initializer,
        [item for item in [*graph.initializer, *head.constants, *tail.constants] if item.name in used],
    )
    del graph.value_info[:]
    _require_domain(model, ML_DOMAIN, ML_VERSION)
    if any(node.op_type == REDUCE_MAX for node in graph.node):
        _require_domain(model, "", REDUCE_MAX_VERSION)
    # skl2onnx keeps them in a set, whose order is another one now and then.
    _replace(model.opset_import, sorted(model.opset_import, key=lambda item: str(item.domain)))
    onnx.checker.check_model(model)
    return model


def tree_thresholds(model: Any, encoding: Encoding) -> dict[str, Array]:
    """The values at which trees decide, with their neighbours in float32, by column.

    Trees see numeric columns first and unscaled, so the numbers of their features are positions in the encoding.
    """
    found: dict[int, list[float]] = {}
    for feature, value in _all_decisions(model):
        found.setdefault(feature, []).append(value)
    return {
        source.column: _with_neighbours(np.array(found[index], dtype=np.float32)) + source.offset
        for index, source in enumerate(encoding.numeric)
        if index in found and source.part is None
    }


def all_thresholds(model: Any) -> Array:
    """The values at which the trees of a graph decide, with their neighbours in float32."""
    return _with_neighbours(np.array([value for _, value in _all_decisions(model)], dtype=np.float32))


class Part:
    """A piece of graph under construction. Internal names have a prefix, so that skl2onnx's never meet them."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    @property
    def names(self) -> list[str]:
        return [output.name for output in self.outputs]

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        name = output if output in PUBLIC_NAMES else PREFIX + output
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values), PREFIX + name))
        return PREFIX + name


def _convert(pipeline: Any, document: ModelDocument, types: Sequence[tuple[str, Any]]) -> Any:
    """skl2onnx's graph. Options differ by estimator, and an unknown one is an error, so the richest set is tried first."""
    try:
        boosting.register()
    except ImportError as error:
        raise NotConvertible(f"{error.name} is not installed, which the image runtime-boosting has") from error
    raw_scores = document.scores == "decision_function"
    choices = [{"zipmap": False, "raw_scores": True}, {"raw_scores": True}] if raw_scores else [{"zipmap": False}, {}]
    estimator = pipeline.steps[-1][1]
    for options in choices if document.classes is not None else [{}]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return convert_sklearn(
                    pipeline,
                    name=GRAPH_NAME,
                    initial_types=list(types),
                    options={id(estimator): options},
                    target_opset=boosting.opset() if boosting.is_within(estimator) else None,
                )
        except NameError as error:
            refusal: Exception = error
        except CONVERSION_ERRORS as error:
            raise _not_convertible(estimator, error) from error
    raise _not_convertible(estimator, refusal)


def _with_float32_thresholds(pipeline: Any) -> Any:
    """The pipeline with the thresholds of boosted trees rounded down to float32, or as it is without any.

    Values are float32, so `value <= threshold` stays as it was. skl2onnx rounds these thresholds to the nearest float32
    (those of other trees it rounds down), which sends a value just above the threshold into the wrong branch.
    """
    name, estimator = pipeline.steps[-1]
    if boosting.is_within(estimator):
        return Pipeline([*pipeline.steps[:-1], (name, boosting.prepared(estimator))])
    if not list(_boosters(estimator)):
        return pipeline
    pipeline = copy.deepcopy(pipeline)
    for booster in _boosters(pipeline.steps[-1][1]):
        for predictor in itertools.chain.from_iterable(vars(booster)["_predictors"]):
            thresholds = boosting.float32_below(predictor.nodes["num_threshold"])
            predictor.nodes["num_threshold"] = thresholds
    return pipeline


def _boosters(estimator: Any) -> Iterable[Any]:
    """The histogram boosting models in an estimator, also below a calibration."""
    if isinstance(estimator, HISTOGRAM_BOOSTING):
        yield estimator
    for calibrated in getattr(estimator, "calibrated_classifiers_", ()):
        yield from _boosters(calibrated.estimator)


def _not_convertible(estimator: Any, error: Exception) -> NotConvertible:
    return NotConvertible(
        f"skl2onnx cannot convert {type(estimator).__name__}: {str(error).strip().splitlines()[0][:200]}"
    )


def _head(encoding: Encoding) -> Part:
    """From the inputs to the tensor `features` [N, width]."""
    part = Part()
    pieces = []
    if encoding.numeric:
        part.inputs.append(helper.make_tensor_value_info(NUMERIC, TensorProto.FLOAT, [None, len(encoding.numeric)]))
        pieces.append(NUMERIC)
    if encoding.indicators:
        chosen = part.add(
            "Gather",
            [NUMERIC, part.constant("incomplete", np.array(encoding.indicators, dtype=np.int64))],
            "incomplete_values",
            axis=1,
        )
        absent = part.add("IsNaN", [chosen], "is_missing")
        pieces.append(part.add("Cast", [absent], "missing_flags", to=TensorProto.FLOAT))
    if encoding.categories:
        part.inputs.append(
            helper.make_tensor_value_info(CATEGORY, TensorProto.STRING, [None, len(encoding.categories)])
        )
        pieces += [_codes(part, index, source) for index, source in enumerate(encoding.categories)]
    part.add("Concat", pieces, FEATURES, axis=1)
    return part


def _codes(part: Part, index: int, source: CategorySource) -> str:
    position = part.constant(f"category_{index}", np.array([index], dtype=np.int64))
    column = part.add("Gather", [CATEGORY, position], f"category_{index}_text", axis=1)
    return part.add(
        "LabelEncoder",
        [column],
        f"category_{index}_code",
        domain=ML_DOMAIN,
        keys_strings=list(source.categories),
        values_floats=list(source.codes.values()),
        default_float=source.default,
    )


def _value_tail(raw: str) -> Part:
    part = Part()
    part.add("Reshape", [raw, part.constant("flat", np.array([-1], dtype=np.int64))], "predict")
    part.outputs.append(helper.make_tensor_value_info("predict", TensorProto.FLOAT, [None]))
    return part


def _class_tail(raw: str, document: ModelDocument) -> Part:
    """Scores under their own name, and labels by the rule of `model.labels`."""
    classes = labels.as_array(document.classes or ())
    part = Part()
    if document.scores == "predict_proba":
        scores = part.add("Identity", [raw], "predict_proba")
        shape: list[int | None] = [None, len(classes)]
    elif len(classes) == 2:
        scores = part.add(
            "Gather", [raw, part.constant("second", np.array(1, dtype=np.int64))], "decision_function", axis=1
        )
        shape = [None]
    else:
        scores, shape = part.add("Identity", [raw], "decision_function"), [None, len(classes)]
    index = _two_class_index(part, scores, document) if len(classes) == 2 else _top_index(part, scores)
    kind = TensorProto.STRING if classes.dtype == object else TensorProto.INT64
    part.add("Gather", [part.constant("classes", classes), index], "predict", axis=0)
    part.outputs.append(helper.make_tensor_value_info("predict", kind, [None]))
    part.outputs.append(helper.make_tensor_value_info(scores, TensorProto.FLOAT, shape))
    return part


def _two_class_index(part: Part, scores: str, document: ModelDocument) -> str:
    positive, limit = 1, labels.TIE
    if document.scores == "predict_proba":
        positive = document.positive_index
        limit += labels.DEFAULT_THRESHOLD if document.threshold is None else document.threshold
        scores = part.add(
            "Gather",
            [scores, part.constant("positive", np.array(positive, dtype=np.int64))],
            "positive_probability",
            axis=1,
        )
    chosen = part.add("Greater", [scores, part.constant("limit", np.float32(limit))], "is_positive")
    yes, no = part.constant("yes", np.int64(positive)), part.constant("no", np.int64(1 - positive))
    return part.add("Where", [chosen, yes, no], "class_index")


def _top_index(part: Part, scores: str) -> str:
    axes = part.constant("axes", np.array([1], dtype=np.int64))
    top = part.add(REDUCE_MAX, [scores, axes], "top_score")
    limit = part.add("Sub", [top, part.constant("tie", np.float32(labels.TIE))], "near_top")
    near = part.add("GreaterOrEqual", [scores, limit], "is_near_top")
    return part.add(
        "ArgMax", [part.add("Cast", [near], "near_top_flags", to=TensorProto.FLOAT)], "class_index", axis=1, keepdims=0
    )


def _needed(nodes: Sequence[Any], outputs: Iterable[str]) -> list[Any]:
    """Without the nodes that no output depends on, such as skl2onnx's own label."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _replace(field: Any, items: Sequence[Any]) -> None:
    copies = list(items)
    del field[:]
    field.extend(copies)


def _require_domain(model: Any, domain: str, version: int) -> None:
    """At least that version of the operators; skl2onnx declares the lowest that its own nodes need."""
    found = [item for item in model.opset_import if item.domain == domain]
    if not found:
        model.opset_import.append(helper.make_opsetid(domain, version))
    for item in found:
        item.version = max(item.version, version)


def _all_decisions(model: Any) -> Iterator[tuple[int, float]]:
    for node in model.graph.node:
        if node.op_type in TREE_OPERATORS:
            yield from _decisions(node)


def _decisions(node: Any) -> Iterable[tuple[int, float]]:
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    modes = attributes["nodes_modes"]
    values = attributes.get("nodes_values", ())
    return [
        (int(feature), float(value))
        for feature, value, mode in zip(attributes["nodes_featureids"], values, modes, strict=True)
        if mode != b"LEAF"
    ]


def _with_neighbours(values: Array) -> Array:
    around = (values, np.nextafter(values, np.float32(-np.inf)), np.nextafter(values, np.float32(np.inf)))
    return np.unique(np.concatenate(around)).astype(np.float64)
