"""From `spec.estimator` to an unfitted scikit-learn compatible estimator, or a sentence that says what to change."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mainspring.api.v1alpha1.dataset import Task
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import document as documents

HISTOGRAM_BOOSTING = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
TREES = (
    *HISTOGRAM_BOOSTING,
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
OVER_OTHERS = (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
)  # trees unless told otherwise
IN_IMAGE = documents.BOOSTING_LIBRARIES
BOOSTING_LIBRARIES = IN_IMAGE | {"catboost"}
OWN_LIBRARIES = BOOSTING_LIBRARIES | {"sklearn"}
MAX_NAMED = 10


def build(path: str, params: Mapping[str, Any], task: Task, seed: int) -> Any:
    """The estimator of the class at the dotted `path`, with `params`, and `seed` wherever a random_state is left open.

    Raises `PermanentError("UnknownEstimator")` or `PermanentError("InvalidParameters")`.
    """
    estimator = _construct(_import(path, task), path, params)
    _require_task(estimator, path, task)
    return _seeded(estimator, seed)


def is_tree(estimator: Any) -> bool:
    """Whether it only compares values with thresholds, so that scaling changes nothing."""
    if isinstance(estimator, OVER_OTHERS):
        base = estimator.get_params(deep=False)["estimator"]
        return base is None or is_tree(base)
    return isinstance(estimator, TREES) or library(estimator) in BOOSTING_LIBRARIES


def handles_missing(estimator: Any) -> bool:
    """Whether missing numbers are best left to it.

    Forests could too, but skl2onnx loses the direction that their trees learn for missing values.
    """
    return isinstance(estimator, HISTOGRAM_BOOSTING) or library(estimator) in BOOSTING_LIBRARIES


def counts_classes(estimator: Any) -> bool:
    """Whether it takes no labels but numbers from 0, as xgboost's classifiers do, also inside another estimator."""
    nested = (value for value in estimator.get_params(deep=True).values() if hasattr(value, "get_params"))
    return any(library(item) == "xgboost" and is_classifier(item) for item in (estimator, *nested))


def preload(path: str) -> None:
    """Import the library of a class, if it has one of its own that is there: threads can be limited only of what is
    loaded. What cannot be imported is explained by `build`."""
    with contextlib.suppress(ImportError, OSError):
        if path.partition(".")[0] in IN_IMAGE:
            importlib.import_module(path.partition(".")[0])


def takes_frame(estimator: Any) -> bool:
    """Whether it comes from the user's own package, which may select columns by name."""
    return library(estimator) not in OWN_LIBRARIES


def library(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def invalid_parameters(message: str, names: Iterable[str] = ()) -> PermanentError:
    return PermanentError("InvalidParameters", message, list(names))


def _import(path: str, task: Task) -> type:
    module_name, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, OSError) as error:
        if module_name.partition(".")[0] in IN_IMAGE and not isinstance(error, AttributeError):
            raise _missing(path, error) from error
        raise _unknown(path, f"cannot be imported ({error})", task) from error
    if not inspect.isclass(found) or not all(
        hasattr(found, method) for method in ("fit", "predict", "get_params", "set_params")
    ):
        raise _unknown(
            path,
            "is not a scikit-learn compatible estimator (a class with fit, predict, get_params and set_params)",
            task,
        )
    return found


def _missing(path: str, error: Exception) -> PermanentError:
    message = (
        f"spec.estimator.class: {path} needs a library that this image does not have ({error}); set spec.image to the "
        "image runtime-boosting of this release, which has xgboost and lightgbm"
    )
    return PermanentError("MissingModule", message, [path])


def _unknown(path: str, problem: str, task: Task) -> PermanentError:
    close = _closest_estimators(path, task)
    hint = (
        f"; did you mean {close[0]}?"
        if close
        else "; use a class of scikit-learn, or name an image with your package in spec.image"
    )
    return PermanentError("UnknownEstimator", f"spec.estimator.class: {path} {problem}{hint}", close)


def _closest_estimators(path: str, task: Task) -> list[str]:
    """Public dotted paths of scikit-learn's estimators for the task, the most similar names first."""
    # Imported here: it loads all of scikit-learn, which only an explanation needs.
    from sklearn.utils import all_estimators

    kind = "classifier" if task is Task.CLASSIFICATION else "regressor"
    paths = {name: _public_path(found) for name, found in all_estimators(type_filter=kind)}
    return [paths[name] for name in get_close_matches(path.rpartition(".")[2], paths, n=MAX_NAMED, cutoff=0.5)]


def _public_path(found: type) -> str:
    public = itertools.takewhile(lambda part: not part.startswith("_"), found.__module__.split("."))
    return ".".join((*public, found.__name__))


def _construct(found: type, path: str, params: Mapping[str, Any]) -> Any:
    """`a__b` sets parameter `b` of the nested estimator `a`; all others go to the constructor."""
    own = {name: value for name, value in params.items() if "__" not in name}
    nested = {name: value for name, value in params.items() if "__" in name}
    _require_known(own, _constructor_parameters(found), path)
    try:
        estimator = found(**own)
        if nested:
            _require_known(nested, estimator.get_params(deep=True), path)
            estimator.set_params(**nested)
    except (TypeError, ValueError) as error:
        raise invalid_parameters(f"spec.estimator.params of {path}: {error}") from error
    return estimator


def _constructor_parameters(found: type) -> set[str] | None:
    """Names that the constructor takes; None when it takes any."""
    parameters = list(inspect.signature(found).parameters.values())
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


def _require_known(given: Mapping[str, Any], known: Iterable[str] | None, path: str) -> None:
    if known is None:
        return
    valid = sorted(known)
    unknown = [name for name in given if name not in valid]
    if unknown:
        close = get_close_matches(unknown[0], valid, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        message = f"spec.estimator.params: {path} has no parameter {unknown[0]!r}{hint} It takes: {', '.join(valid)}"
        raise invalid_parameters(message, unknown)


def _require_task(estimator: Any, path: str, task: Task) -> None:
    try:
        fits = is_classifier(estimator) if task is Task.CLASSIFICATION else is_regressor(estimator)
    except AttributeError as error:  # a meta-estimator without the estimator that it needs
        raise invalid_parameters(f"spec.estimator.params of {path}: {error}") from error
    if not fits:
        wanted = "classifier" if task is Task.CLASSIFICATION else "regressor"
        raise _unknown(path, f"is not a {wanted}, which the Dataset's task {task} needs", task)


def _seeded(estimator: Any, seed: int) -> Any:
    """Nested estimators too, unless the user chose."""
    open_ones = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if name.split("__")[-1] == "random_state" and value is None
    }
    return estimator.set_params(**open_ones) if open_ones else estimator
