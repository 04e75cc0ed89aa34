"""Teaches skl2onnx to convert xgboost's and lightgbm's models, by the converters of onnxmltools.

Only what is loaded already is registered: a pipeline that holds such a model has loaded its library. The extra `boosting`
has all three; without onnxmltools these models answer by scikit-learn's interface.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

CLASSIFIER_OPTIONS = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}
REGRESSOR_OPTIONS = {"split": None}


def register() -> None:
    """For the libraries that are loaded. Raises ImportError when onnxmltools is not installed."""
    if "xgboost" in sys.modules:
        _register_xgboost()
    if "lightgbm" in sys.modules:
        _register_lightgbm()


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
