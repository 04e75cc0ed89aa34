"""`model.json`: which files of a version are the model, how its inputs are arranged and how its labels are decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.encoding import Encoding

FILE = "model.json"
SKOPS_FILE = "model.skops"
ONNX_FILE = "model.onnx"
PICKLE_FORMATS = ("joblib",)
# They are in the image runtime-boosting, not in the lean one.
BOOSTING_LIBRARIES = frozenset({"xgboost", "lightgbm"})

# What the model itself is given: blocks or a matrix made by the Encoding; the columns as one matrix, as they are;
# a pandas frame with the columns by name; one column alone, as an array of texts; or, for ONNX files of users, one tensor
# `[N, F]` or one tensor a column.
Inputs = Literal["Encoded", "Matrix", "Frame", "Vector", "Tensor", "Columns"]
PACKAGE_COMMAND = "python -m mainspring_runtime package"


@dataclass(frozen=True)
class OnnxFacts:
    """Whether the ONNX file may answer, and why or why not."""

    admitted: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Method:
    """An output that is what the model itself answers: what the estimator's method `name` returns, or the graph's tensor.

    `part`: the place in a list that a method returns, one array for each target.
    """

    output: str
    name: str
    part: int | None = None


@dataclass(frozen=True)
class ModelDocument:
    """A packaged model has `methods`, one for each output. Without any, labels are decided by `model.labels`.

    `argmax`: `predict` is the class with the greatest probability, so that both cost one call of the estimator.
    `positive` and `threshold` are set for two classes with probabilities; `scores` names the output of class scores."""

    format: str  # skops, onnx, joblib or custom
    task: str
    inputs: Inputs = "Matrix"
    file: str | None = SKOPS_FILE
    estimator: str = ""
    classes: tuple[str | int, ...] | None = None
    positive: str | int | None = None
    threshold: float | None = None
    features: tuple[str, ...] = ()
    scores: str | None = None  # predict_proba, decision_function or None
    tensor: str | None = None  # the output of a user's ONNX file that holds scores or values
    encoding: Encoding | None = None
    onnx: OnnxFacts = field(default_factory=OnnxFacts)
    model_digest: str | None = None
    methods: tuple[Method, ...] = ()
    argmax: bool = False

    @property
    def positive_index(self) -> int:
        """Place of the positive class in `classes`; the last of two when none is named."""
        if self.classes is None or self.positive is None:
            return 1
        return self.classes.index(self.positive)

    def to_dict(self) -> dict[str, Any]:
        document = {_camel(name): value for name, value in asdict(self).items() if name != "encoding"}
        document["encoding"] = None if self.encoding is None else self.encoding.to_dict()
        # Left out when they say nothing: models that have none keep their bytes, and with them their digest.
        return {name: value for name, value in document.items() if value or name not in ("methods", "argmax")}

    def to_json(self) -> str:
        """The content of `model.json`: equal documents give equal bytes."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_document(directory: Path) -> ModelDocument:
    """Read `model.json`. Raises `PermanentError("InvalidModel")`."""
    try:
        return _from_dict(json.loads((directory / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        message = f"there is no {FILE}: a directory that no TrainingRun wrote is made by `{PACKAGE_COMMAND}`, from a model file and example rows"
        raise PermanentError("InvalidModel", message) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError("InvalidModel", f"{FILE} cannot be read: {type(error).__name__}: {error}") from error


def _from_dict(document: Mapping[str, Any]) -> ModelDocument:
    encoding, classes = document["encoding"], document["classes"]
    return ModelDocument(
        format=document["format"],
        task=document["task"],
        inputs=document["inputs"],
        file=document["file"],
        estimator=document["estimator"],
        classes=None if classes is None else tuple(classes),
        positive=document["positive"],
        threshold=document["threshold"],
        features=tuple(document["features"]),
        scores=document["scores"],
        tensor=document["tensor"],
        encoding=None if encoding is None else Encoding.from_dict(encoding),
        onnx=OnnxFacts(**document["onnx"]),
        model_digest=document["modelDigest"],
        methods=tuple(Method(**item) for item in document.get("methods", ())),
        argmax=document.get("argmax", False),
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
