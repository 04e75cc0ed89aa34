"""From scores to class labels: one rule, used wherever a label is made from probabilities.

Two classes: the positive one when its probability exceeds the threshold by more than `TIE`, else the other one.
More classes: the first one whose probability comes within `TIE` of the greatest.

Without `TIE` a forest whose trees are split evenly would answer by the rounding of the last bit, and two ways of
summing the same trees (float64 in scikit-learn, float32 in ONNX Runtime) would disagree on about 1 % of such rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

TIE = 1e-6
DEFAULT_THRESHOLD = 0.5

Array = npt.NDArray[Any]


def decide(probabilities: Array, positive: int, threshold: float) -> npt.NDArray[np.int64]:
    """Class indexes [N] from probabilities [N, K]; `positive` is an index and counts only when K is 2."""
    if probabilities.shape[1] != 2:
        near_top: npt.NDArray[np.int64] = np.argmax(
            probabilities >= probabilities.max(axis=1, keepdims=True) - TIE, axis=1
        )
        return near_top
    chosen = probabilities[:, positive] > threshold + TIE
    return np.where(chosen, positive, 1 - positive)


def as_array(classes: Sequence[str | int]) -> Array:
    """Classes as they are answered: int64, or an object array of str."""
    if all(isinstance(value, int) for value in classes):
        return np.array(classes, dtype=np.int64)
    return np.array([str(value) for value in classes], dtype=object)
