"""Teaches skl2onnx to convert xgboost's and lightgbm's models, by the converters of onnxmltools.

What the converters do wrong or refuse is put right in a copy first: LightGBM compares with thresholds in float64, which
the converter rounds to the nearest float32, so that a value just above one takes the wrong branch; and XGBoost's columns
must not have names.

Only what is loaded already is registered: a pipeline that holds such a model has loaded its library. The extra `boosting`
has all three; without onnxmltools these models answer by scikit-learn's interface.
"""

from __future__ import annotations

import copy
import sys
from functools import cache
from typing import Any

import numpy as np
from skl2onnx import get_latest_tested_opset_version, update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

from mainspring_runtime.model.document import BOOSTING_LIBRARIES
from mainspring_runtime.model.encoding import Array
from mainspring_runtime.train.estimators import library

CLASSIFIER_OPTIONS = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}
REGRESSOR_OPTIONS = {"split": None}
THRESHOLD, TREE_SIZES = "threshold=", "tree_sizes="


def register() -> None:
    """For the libraries that are loaded. Raises ImportError when onnxmltools is not installed."""
    if "xgboost" in sys.modules:
        _register_xgboost()
    if "lightgbm" in sys.modules:
        _register_lightgbm()


def opset() -> dict[str, int]:
    """The operators that onnxmltools knows: an older version of those for trees."""
    return {"": get_latest_tested_opset_version(), "ai.onnx.ml": 3}


def is_within(estimator: Any) -> bool:
    """Whether it is a model of these libraries, or a calibration of one."""
    inner = (part.estimator for part in getattr(estimator, "calibrated_classifiers_", ()))
    return library(estimator) in BOOSTING_LIBRARIES or any(map(is_within, inner))


def prepared(estimator: Any) -> Any:
    """A copy that converts to a graph with the same answers for values in float32."""
    estimator = copy.deepcopy(estimator)
    for part in getattr(estimator, "calibrated_classifiers_", ()):
        part.estimator = prepared(part.estimator)
    match library(estimator):
        case "xgboost":
            estimator.get_booster().feature_names = None
        case "lightgbm":
            import lightgbm

            text = rounded_down(estimator.booster_.model_to_string())
            vars(estimator)["_Booster"] = lightgbm.Booster(model_str=text)
    return estimator


def rounded_down(text: str) -> str:
    """The text of a LightGBM model with the thresholds of numbers rounded down to float32. `tree_sizes` counts bytes that
    are others then, and may be left out."""
    lines = (line for line in text.split("\n") if not line.startswith(TREE_SIZES))
    return "\n".join(_rounded(line) if line.startswith(THRESHOLD) else line for line in lines)


def _rounded(line: str) -> str:
    values = np.array(line.removeprefix(THRESHOLD).split(), dtype=np.float64)
    return THRESHOLD + " ".join(repr(float(value)) for value in float32_below(values))


def float32_below(values: Array) -> Array:
    """The greatest float32 that is not greater, for each value."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)


@cache
def _register_xgboost() -> None:
    import xgboost
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

    _register(xgboost.XGBClassifier, xgboost.XGBRegressor, convert_xgboost)


@cache
def _register_lightgbm() -> None:
    import lightgbm
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

    _register(lightgbm.LGBMClassifier, lightgbm.LGBMRegressor, convert_lightgbm)


def _register(classifier: type, regressor: type, convert: Any) -> None:
    update_registered_converter(
        classifier,
        classifier.__name__,
        calculate_linear_classifier_output_shapes,
        convert,
        options=CLASSIFIER_OPTIONS,
        overwrite=False,
    )
    update_registered_converter(
        regressor,
        regressor.__name__,
        calculate_linear_regressor_output_shapes,
        convert,
        options=REGRESSOR_OPTIONS,
        overwrite=False,
    )
