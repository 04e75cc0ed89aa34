"""A LightGBM model in its own text format, with the methods that scikit-learn's models have.

LightGBM can make its scikit-learn classes only by training them, and its text format knows no class labels: classes are
numbers from 0. An object of this class is stored by skops like any other estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

Array = npt.NDArray[Any]


class LightGBMRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """`text` is the content of a LightGBM model file whose objective is no classification."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what is no model, and ModuleNotFoundError without LightGBM."""
        made = cls(text)
        made.__setstate__({"text": text})
        return made

    @property
    def n_features_in_(self) -> int:
        return int(self._booster.num_feature())

    @property
    def feature_names_in_(self) -> Array:
        """Raises AttributeError when it was trained on a matrix."""
        return names_of(self._booster.feature_name())

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, table: Any) -> Array:
        """Values [N]."""
        return np.asarray(self._booster.predict(_matrix(table)), dtype=np.float64)

    def __getstate__(self) -> dict[str, Any]:
        return {"text": self.text}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the booster, a handle of a native library that no file can hold: loading fails, not the first request."""
        self.text = state["text"]
        self._booster = _load(self.text)


class LightGBMClassifier(ClassifierMixin, LightGBMRegressor):  # type: ignore[misc]
    """The same with classes 0 to K - 1."""

    @property
    def classes_(self) -> Array:
        return np.arange(max(2, int(self._booster.num_model_per_iteration())))

    def predict_proba(self, table: Any) -> Array:
        """Probabilities [N, K]."""
        found = super().predict(table)
        return np.stack([1 - found, found], axis=1) if found.ndim == 1 else found

    def predict(self, table: Any) -> Array:
        """Classes [N]."""
        return np.asarray(np.argmax(self.predict_proba(table), axis=1))


def _load(text: str) -> Any:
    """Raises ValueError for what is no model; the library's own error is only an Exception."""
    import lightgbm

    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from error


def names_of(names: Sequence[str]) -> Array:
    """Names of columns as scikit-learn keeps them. Raises AttributeError for those that LightGBM invents."""
    if list(names) == [f"Column_{index}" for index in range(len(names))]:
        raise AttributeError("it was trained on a matrix")
    return np.array(names, dtype=object)


def _matrix(table: Any) -> Array:
    """Names were checked before; a frame would only be checked again."""
    return np.asarray(table, dtype=np.float64)
