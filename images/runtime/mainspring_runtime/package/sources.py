"""The model file of a user: which library reads it, and the fitted estimator in it.

A pickle runs code when it is read, so it is read only when the user says so, and once: what is published is the same
estimator as skops writes it, if skops can. Boosters in the formats of their own libraries become estimators as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model import sklearn_model
from mainspring_runtime.model.document import PACKAGE_COMMAND, ModelDocument

PICKLES = (".joblib", ".pkl", ".pickle")
XGBOOST = (".ubj", ".json")
LIGHTGBM = (".txt", ".lgb")
ONNX = ".onnx"
OBJECTIVE = "objective="  # a line of LightGBM's text
KNOWN = (".skops", *PICKLES, ONNX, *XGBOOST, *LIGHTGBM)


def load(path: Path, trusted_types: Sequence[str], allow_pickle: bool) -> Any:
    """The fitted estimator in a file that is not ONNX.

    Raises `PermanentError`: UnknownFormat, PickleNotAllowed, UntrustedTypes, MissingModule or InvalidModel.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES and not allow_pickle:
        message = (
            f"{path.name} is a pickle, which runs code when it is read; if you trust who made it, add --allow-pickle"
        )
        raise PermanentError("PickleNotAllowed", message)
    if suffix == ".skops" or suffix in PICKLES:
        format_ = "skops" if suffix == ".skops" else "joblib"
        blank = ModelDocument(format=format_, task="", file=path.name)
        return sklearn_model.load_estimator(path.parent, blank, trusted_types, allow_pickle)
    return _load_booster(path, _reader(path))


def require_file(path: Path) -> None:
    """Raises `PermanentError("UnknownFormat")` for what is no model file."""
    if not path.is_file() or path.suffix.lower() not in KNOWN:
        problem = "is none of" if path.is_file() else "does not exist; it may be one of"
        raise PermanentError("UnknownFormat", f"{path.name} {problem} {', '.join(KNOWN)}")


def _reader(path: Path) -> Callable[[Path], Any]:
    return _xgboost if path.suffix.lower() in XGBOOST else _lightgbm


def _load_booster(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except ModuleNotFoundError as error:
        message = f"{path.name} needs the Python module {error.name!r}: run `{PACKAGE_COMMAND}` in the image runtime-boosting, or install mainspring[boosting]"
        raise PermanentError("MissingModule", message) from error
    except (ValueError, OSError, KeyError) as error:
        # The libraries' own errors are ValueErrors.
        raise PermanentError("InvalidModel", f"{path.name} cannot be loaded: {str(error).strip()[:300]}") from error


def _xgboost(path: Path) -> Any:
    import xgboost

    booster = xgboost.Booster(model_file=str(path))
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    classes = objective in ("binary:logistic", "multi:softprob", "multi:softmax")
    estimator = xgboost.XGBClassifier() if classes else xgboost.XGBRegressor()
    estimator.load_model(str(path))
    return estimator


def _lightgbm(path: Path) -> Any:
    from mainspring_runtime.model import boosters

    text = path.read_text(encoding="utf-8")
    objective = next((line for line in text.splitlines() if line.startswith(OBJECTIVE)), "").removeprefix(OBJECTIVE)
    classes = objective.startswith(("binary", "multiclass"))
    return (boosters.LightGBMClassifier if classes else boosters.LightGBMRegressor).parse(text)
